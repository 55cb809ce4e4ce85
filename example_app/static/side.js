// The side bar: the open conversation is in sight, and a filter finds others by their title.

import { element } from "./page.js";
import { find } from "./search.js";

const side = element("side");
const filter = element("filter");

function showCurrent() {
  const list = element("conversations");
  const current = list.querySelector("[aria-current]");
  if (current) list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
}

function apply() {
  const items = [...element("conversations").children];
  const found = find(filter.value, items, (item) => [item.textContent]);
  for (const item of items) item.hidden = !found.includes(item);
  element("unmatched").textContent = found.length > 0 ? "" : "No conversation matches.";
}

filter.addEventListener("input", apply);
filter.addEventListener("keydown", (event) => {
  if (event.key === "Enter") element("conversations").querySelector("li:not([hidden]) a")?.click();
  if (event.key !== "Escape" || !filter.value) return;
  filter.value = "";
  apply();
  event.preventDefault();
});
side.addEventListener("toggle", showCurrent);
// The server's version of the list takes its place when a conversation begins (see page.js).
new MutationObserver(apply).observe(side, { childList: true });
showCurrent();
