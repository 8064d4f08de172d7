// The page of the shop. What comes from the server is put in as text, never as markup.
import { call, failure, problemOf } from "./api.js";
import { enter, leave } from "./chat.js";

const find = (selector, within = document) => within.querySelector(selector);
const list = find("#books");
const basket = new Map(); // books by their ids, with how many of them
let next = null; // where the list goes on
let orders = null; // what becomes of the caller's orders

// What is said

function say(text) {
  const message = find("#message");
  message.textContent = text;
  message.hidden = !text;
}

failure((problem) => {
  say(problemOf(problem));
  if (problem.status === 401) begin();
});

// Books

const query = () => new URLSearchParams([...new FormData(find("#search"))].filter(([, value]) => value));

async function load(cursor = null) {
  const asked = query();
  asked.set("expand", "author");
  asked.set("limit", "10");
  if (cursor) asked.set("cursor", cursor);
  const page = await call("GET", `/books?${asked}`);
  if (!page) return;
  if (!cursor) list.replaceChildren();
  list.append(...page.items.map(shown));
  next = page.next;
  find("#more").hidden = !next;
}

function shown(book) {
  const item = find("#book").content.cloneNode(true).firstElementChild;
  item.dataset.id = book.id;
  fill(item, { ...book, author: book.author?.name ?? "" });
  find(".take", item).addEventListener("click", () => take(item));
  find(".talk", item).addEventListener("click", () => enter(book.id, find("[data-of=title]", item).textContent));
  find(".cover input", item).addEventListener("change", ({ target }) => {
    const form = new FormData();
    form.append("cover", target.files[0]);
    call("PUT", `/books/${book.id}/cover`, form);
  });
  return item;
}

function fill(item, book) {
  for (const place of item.querySelectorAll("[data-of]")) {
    const value = book[place.dataset.of];
    if (value !== undefined) place.textContent = value;
  }
  if (book.stock !== undefined) find(".take", item).disabled = book.stock === 0;
  if (book.cover) Object.assign(find("img", item), { src: book.cover, hidden: false });
}

const of = (id) => list.querySelector(`[data-id="${CSS.escape(id)}"]`);

// What changes is told by the store itself, whoever has written it.
const changes = new EventSource("/books/_changes?fields=id,title,text,price,stock,cover");
changes.addEventListener("update", ({ data }) => {
  const book = JSON.parse(data);
  const item = of(book.id);
  if (!item) return;
  fill(item, book);
  item.classList.remove("changed");
  void item.offsetWidth; // so that the colour fades anew
  item.classList.add("changed");
});
changes.addEventListener("delete", ({ data }) => of(JSON.parse(data).id)?.remove());
changes.addEventListener("create", () => load());
changes.addEventListener("reset", () => load());

find("#search").addEventListener("input", () => load());
find("#search").addEventListener("submit", (event) => event.preventDefault());
find("#more").addEventListener("click", () => load(next));

// The basket

function take(item) {
  const line = basket.get(item.dataset.id) ?? { count: 0 };
  const [title, price] = ["title", "price"].map((name) => find(`[data-of=${name}]`, item).textContent);
  basket.set(item.dataset.id, { title, price: Number(price), count: line.count + 1 });
  showBasket();
}

function showBasket() {
  const lines = [...basket].map(([id, line]) =>
    entry(`${line.count} × ${line.title}`, "remove", () => basket.delete(id) && showBasket()),
  );
  find("#basket").replaceChildren(...lines);
  const total = [...basket.values()].reduce((sum, line) => sum + line.price * line.count, 0);
  find("#total").textContent = total.toFixed(2);
}

function entry(text, does, action) {
  const item = find("#line").content.cloneNode(true).firstElementChild;
  find("[data-of=text]", item).textContent = text;
  const button = find("button", item);
  if (does) {
    button.textContent = does;
    button.addEventListener("click", action);
  } else button.remove();
  return item;
}

find("#order").addEventListener("submit", async (event) => {
  event.preventDefault();
  const lines = [...basket].map(([book, { count }]) => ({ book, count }));
  if (!lines.length) return say("There is nothing in the basket.");
  // An id of our own: an order that is sent twice, since no answer came, is one order.
  const order = { id: crypto.randomUUID?.(), lines, address: new FormData(event.target).get("address") };
  const placed = await call("POST", "/orders", order);
  if (!placed) return;
  basket.clear();
  showBasket();
  say(`Thank you. Your order of ${placed.total} is on its way.`);
});

// Orders

async function loadOrders() {
  const page = await call("GET", "/orders?sort=-created_at&limit=10");
  if (!page) return;
  find("#orders").replaceChildren(
    ...page.items.map((order) => {
      const open = order.status === "placed";
      const text = `${order.lines.map((line) => line.title).join(", ")}: ${order.total}, ${order.status}`;
      return entry(text, open && "cancel", () => call("POST", `/orders/${order.id}/cancel`));
    }),
  );
}

// Who is here

async function begin() {
  const me = await call("GET", "/me");
  find("#stranger").hidden = Boolean(me);
  find("#customer").hidden = !me;
  list.classList.toggle("strange", !me);
  list.classList.toggle("staff", Boolean(me?.roles.includes("staff")));
  orders?.close();
  orders = null;
  if (!me) return leave();
  find("#name").textContent = me.name;
  orders = new EventSource("/orders/_changes?fields=id");
  for (const kind of ["create", "update", "reset"]) orders.addEventListener(kind, loadOrders);
  await loadOrders();
}

function askName(isNew) {
  find("#login .new").hidden = !isNew;
  find("#login [name=name]").required = isNew;
}

find("#login [name=new]").addEventListener("change", ({ target }) => askName(target.checked));
find("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, email, password, new: isNew } = Object.fromEntries(new FormData(event.target));
  if (isNew && !(await call("POST", "/customers", { name, email, password }))) return;
  if (!(await call("POST", "/login", { email, password }))) return;
  event.target.reset();
  askName(false);
  say("");
  await begin();
});
find("#logout").addEventListener("click", async () => {
  await call("POST", "/logout");
  await begin();
});

await Promise.all([load(), begin()]);
