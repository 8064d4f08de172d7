// Talks to the shop. Who calls is in a cookie, which no script can read.
let told = () => {};

/** Has `how` told of what the server refuses. */
export function failure(how) {
  told = how;
}

/** What the server answers, or null when it refuses. */
export async function call(method, path, body) {
  const isRaw = body instanceof FormData;
  const asked = { method, body: isRaw || body === undefined ? body : JSON.stringify(body) };
  if (body !== undefined && !isRaw) asked.headers = { "content-type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    told({ detail: "The shop does not answer. Try again." });
    return null;
  }
  if (answer.ok) return answer.status === 204 ? true : answer.json();
  const problem = await answer.json().catch(() => ({ title: answer.statusText }));
  // With a cookie that does not hold any more, whoever comes is a stranger.
  const isOver = answer.status === 401 && path !== "/login";
  told(isOver ? { ...problem, detail: "You are not signed in any more." } : problem);
  return null;
}

/** A problem document (RFC 9457) in words, with all that is wrong. */
export function problemOf(problem) {
  const errors = problem.errors?.map((error) => `${(error.pointer ?? error.parameter ?? "").replace("/", "")} ${error.detail}`);
  return errors?.join("; ") || problem.detail || problem.title;
}
