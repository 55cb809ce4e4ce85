// The side bar: the open conversation is in sight, and a filter finds others by their title.

import { find } from "./search.js";

const side = document.getElementById("side");
const filter = document.getElementById("filter");

// Not by scrollIntoView(), which scrolls the page as well.
function showCurrent() {
  const list = document.getElementById("conversations");
  const current = list.querySelector("[aria-current]");
  if (current) list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
}

export function filterConversations() {
  const items = [...document.getElementById("conversations").children];
  const found = find(filter.value, items, (item) => [item.textContent]);
  for (const item of items) item.hidden = !found.includes(item);
  document.getElementById("unmatched").textContent = found.length > 0 ? "" : "No conversation matches.";
}

filter.addEventListener("input", filterConversations);
filter.addEventListener("keydown", (event) => {
  if (event.key === "Enter") side.querySelector("#conversations li:not([hidden]) a")?.click();
});
side.addEventListener("toggle", showCurrent);
showCurrent();
