"use strict";
const files = document.body.dataset.files;
const find = (id) => document.getElementById(id);

// Figures are of the last seconds: rates of these, durations of those.
const RATE = 5;
const SPAN = 60;

let begun = null;
let shownErrors = -1;
let bounds = [];
let samples = [];
let rows = [];

function make(kind, name, ...within) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.append(...within);
  return made;
}

class Unreachable extends Error {}

async function ask(name) {
  let answer;
  try {
    answer = await fetch(files + name, { cache: "no-store" });
  } catch {
    throw new Unreachable();
  }
  if (!answer.ok) throw new Unreachable();
  return answer.json();
}

function time(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "–";
  if (seconds < 0.001) return `${(seconds * 1000).toFixed(2)} ms`;
  if (seconds < 0.1) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return `${seconds.toFixed(1)} s`;
}

function rate(number) {
  return number >= 100 ? Math.round(number).toLocaleString("en") : number >= 10 ? number.toFixed(0) : number.toFixed(1);
}

function lasts(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

// What was counted of requests of one method to one route, whatever their status.
function nothing() {
  return { count: 0, failed: 0, seconds: 0, buckets: bounds.map(() => 0).concat(0), parts: [0, 0, 0, 0] };
}

function add(sum, one, sign) {
  sum.count += sign * one.count;
  sum.failed += sign * (one.failed ?? (one.status >= 500 ? one.count : 0));
  sum.seconds += sign * one.seconds;
  one.buckets.forEach((value, at) => { sum.buckets[at] = (sum.buckets[at] ?? 0) + sign * value; });
  one.parts.forEach((value, at) => { sum.parts[at] += sign * value; });
}

function counted(data) {
  const found = new Map();
  for (const series of data.series ?? []) {
    const key = `${series.method} ${series.route}`;
    if (!found.has(key)) found.set(key, nothing());
    add(found.get(key), series, 1);
  }
  return found;
}

// What was counted since the sample of about so many seconds ago, of the keys that are wanted, and in how many seconds.
function since(seconds, wanted) {
  const now = samples.at(-1);
  const before = samples.find((sample) => sample.now >= now.now - seconds * 1000 - 200) ?? now;
  const sum = nothing();
  for (const [key, one] of now.counted) {
    if (!wanted(key)) continue;
    add(sum, one, 1);
    const earlier = before.counted.get(key);
    if (earlier) add(sum, earlier, -1);
  }
  return { sum, seconds: Math.max((now.now - before.now) / 1000, 0.001) };
}

// Where a share of all durations ends, as far as buckets tell.
function quantile(buckets, share) {
  const all = buckets.reduce((sum, value) => sum + value, 0);
  if (all <= 0) return null;
  let left = share * all;
  for (let at = 0; at < buckets.length; at += 1) {
    if (buckets[at] > 0 && left <= buckets[at]) {
      const from = at === 0 ? 0 : bounds[at - 1];
      const to = bounds[at] ?? from;
      return from + (to - from) * (left / buckets[at]);
    }
    left -= buckets[at];
  }
  return bounds.at(-1);
}

function rowOf(route) {
  const [every, middle, slow] = ["number", "number", "number"].map((name) => make("span", name));
  const split = make("span", "split", ...["layers", "waiting", "python", "store"].map((part) => make("i", part)));
  split.setAttribute("role", "img");
  const method = make("span", `method ${route.method ?? ""}`, { WEBSOCKET: "WS" }[route.method] ?? route.method ?? "ANY");
  const path = make("span", "path", route.path, make("small", "", route.name === route.path ? route.kind : `${route.kind} · ${route.name}`));
  const summary = make("summary", "", method, path, every, split, middle, slow);
  const box = make("details", "route idle", summary);
  box.dataset.route = `${route.method ?? "*"} ${route.path}`;
  const facts = {};
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector(".within")) return;
    const list = make("dl");
    for (const name of ["answered", "mean", "layers", "waiting", "python", "store"]) {
      facts[name] = make("dd", "", "–");
      const told = { answered: "Answered", mean: "Mean", layers: "in layers", waiting: "waiting for Python", python: "in Python", store: "in the store" };
      list.append(make("dt", name, told[name]), facts[name]);
    }
    if (route.location) list.append(make("dt", "", "Declared at"), make("dd", "", route.location));
    if (route.hooks) list.append(make("dt", "", "Hooks"), make("dd", "", String(route.hooks)));
    box.append(make("div", "within", make("div", "tower", drawTower(route)), make("div", "facts", list)));
    if (samples.length) update({ box, facts, route, every, split, middle, slow });
  });
  return { box, facts, route, every, split, middle, slow };
}

// The keys under which its requests are counted: a WebSocket begins with a GET.
function countedAs(route) {
  const method = route.method === "WEBSOCKET" ? "GET" : route.method;
  return new Set([`${method} ${route.path}`, ...(route.method === "GET" ? [`HEAD ${route.path}`] : [])]);
}

function update(row) {
  const { box, facts, route } = row;
  const named = route.method ? countedAs(route) : null;
  const wanted = (key) => (named ? named.has(key) : key.endsWith(` ${route.path}`) && !route.named.has(key));
  const last = since(RATE, wanted);
  const span = since(SPAN, wanted).sum;
  box.classList.toggle("idle", last.sum.count === 0);
  row.every.replaceChildren(rate(last.sum.count / last.seconds), make("small", "", " /s"));
  const [middle, slow] = [quantile(span.buckets, 0.5), quantile(span.buckets, 0.95)];
  row.middle.replaceChildren(time(middle));
  row.middle.title = "median of the last minute";
  row.slow.replaceChildren(...(slow === null ? [] : [make("small", "", "95% "), time(slow)]));
  const all = span.parts.reduce((sum, value) => sum + value, 0);
  [...row.split.children].forEach((part, at) => { part.style.flexGrow = all > 0 ? span.parts[at] / all : 0; });
  row.split.setAttribute("aria-label", all > 0 ? ["layers", "waiting", "Python", "store"].map((part, at) => `${part} ${Math.round((100 * span.parts[at]) / all)}%`).join(", ") : "no requests");
  if (!facts.mean) return;
  const whole = nothing();
  for (const [key, one] of samples.at(-1).counted) if (wanted(key)) add(whole, one, 1);
  facts.answered.textContent = `${whole.count.toLocaleString("en")}${whole.failed ? `, ${whole.failed.toLocaleString("en")} of them 5xx` : ""}`;
  facts.mean.textContent = span.count ? time(span.seconds / span.count) : "–";
  ["layers", "waiting", "python", "store"].forEach((name, at) => {
    facts[name].textContent = span.parts[at] > 0 ? time(span.parts[at] / span.count) : "–";
  });
}

async function showRoutes() {
  const routes = await ask("routes");
  for (const route of routes) {
    route.named = new Set(routes.filter((other) => other.method && other.path === route.path).flatMap((other) => [...countedAs(other)]));
  }
  rows = routes.map(rowOf);
  find("routes").replaceChildren(rows.length ? make("div", "list", ...rows.map((row) => row.box)) : make("p", "none", "The app has no routes yet."));
  filter();
}

function filter() {
  const text = find("filter").value.trim().toLowerCase();
  for (const { box, route } of rows) {
    const told = `${route.method ?? ""} ${route.path} ${route.name} ${route.kind}`.toLowerCase();
    box.hidden = !text.split(/\s+/).every((word) => told.includes(word));
  }
}

async function showErrors(errors) {
  find("passed").textContent = errors.passed_over ? `${errors.passed_over.toLocaleString("en")} more came too fast to be kept` : "";
  if (errors.last === shownErrors) return;
  const opened = new Set([...document.querySelectorAll(".error[open]")].map((box) => box.dataset.id));
  const boxes = (await ask("errors")).map((error) => {
    const title = make("span", "title", make("b", "", error.kind), error.message ? `: ${error.message.split("\n")[0]}` : "");
    const at = new Date(error.at).toLocaleTimeString();
    const told = [at, error.request, `raised in ${error.whose}`, error.place].filter(Boolean).join(" · ");
    const box = make("details", "error", make("summary", "", title, make("p", "", told)), make("pre", "", error.text));
    box.dataset.id = error.id;
    box.open = opened.has(String(error.id));
    return box;
  });
  if (boxes.length) find("errors").replaceChildren(make("div", "list", ...boxes));
  shownErrors = errors.last;
}

function showTiles(data) {
  const every = () => true;
  const last = since(RATE, every);
  const span = since(SPAN, every).sum;
  find("rate").textContent = rate(last.sum.count / last.seconds);
  find("median").textContent = time(quantile(span.buckets, 0.5));
  find("slow").textContent = time(quantile(span.buckets, 0.95));
  find("failed").textContent = span.count ? `${((100 * span.failed) / span.count).toFixed(span.failed ? 1 : 0)}%` : "–";
  find("failed").className = span.failed ? "bad" : "";
  find("active").textContent = data.active ?? "–";
  const { loop, threads } = data;
  find("lag").textContent = loop ? (loop.lag === null ? `> ${time(loop.patience)}` : time(loop.lag)) : "stopped";
  find("lag").className = loop && loop.lag === null ? "bad" : "";
  find("queued").textContent = loop ? `${loop.queued} queued, ${loop.suspended} suspended` : "";
  find("threads").textContent = threads ? threads.made - threads.idle : "–";
  find("waiting").textContent = threads ? `of ${threads.made}, ${threads.waiting} calls wait` : "";
  const rates = samples.slice(1).map((sample, at) => {
    const before = samples[at];
    let count = 0;
    for (const [key, one] of sample.counted) count += one.count - (before.counted.get(key)?.count ?? 0);
    return (1000 * count) / Math.max(sample.now - before.now, 1);
  });
  const most = Math.max(1, ...rates);
  const points = rates.map((value, at) => `${((240 * (SPAN - rates.length + at)) / (SPAN - 1)).toFixed(1)} ${(38 - (34 * value) / most).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  find("spark").querySelector(".line").setAttribute("d", line);
  find("spark").querySelector(".area").setAttribute("d", line && `${line}L240 40L${points[0].split(" ")[0]} 40Z`);
}

async function refresh() {
  const data = await ask("data");
  if (data.begun !== begun) {
    // Another process than before: what it counts begins anew.
    [samples, shownErrors] = [[], -1];
    bounds = data.bounds ?? [];
    await showRoutes();
    begun = data.begun;
  }
  samples.push({ now: data.now, counted: counted(data) });
  samples = samples.slice(-SPAN - 1);
  showTiles(data);
  rows.forEach(update);
  await showErrors(data.errors);
  find("state").textContent = `process ${data.pid}, for ${lasts(data.now - data.begun)}`;
  find("state").className = "on";
}

async function run() {
  if (!document.hidden) {
    try {
      await refresh();
    } catch (error) {
      if (!(error instanceof Unreachable)) console.error(error);
      find("state").textContent = "Waiting for the server";
      find("state").className = "";
    }
  }
  setTimeout(run, 1000);
}

find("filter").addEventListener("input", filter);
run();
