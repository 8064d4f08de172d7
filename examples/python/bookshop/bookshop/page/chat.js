// The room of a book, in which those who have signed in talk.
const find = (selector) => document.querySelector(selector);
let socket = null;

/** Goes into the room of a book, and out of the one before. */
export function enter(id, title) {
  leave();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/books/${id}/chat`);
  socket.addEventListener("message", ({ data }) => {
    const { who, text } = JSON.parse(data);
    write(`${who}: ${text}`);
  });
  socket.addEventListener("close", ({ target }) => {
    // One that was left says nothing in the next room.
    if (target === socket) write("The room is closed.");
  });
  find("#room").textContent = title;
  find("#said").replaceChildren();
  find("#chat").hidden = false;
}

/** Goes out. */
export function leave() {
  const before = socket;
  socket = null;
  before?.close();
  find("#chat").hidden = true;
}

function write(text) {
  const line = document.createElement("li");
  line.textContent = text;
  find("#said").append(line);
  line.scrollIntoView({ block: "nearest" });
}

find("#say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text: new FormData(event.target).get("text") }));
  event.target.reset();
});
