// The side bar: the open conversation is in sight, and a filter finds others by their title.

import { find } from "./search.js";

const side = document.getElementById("side");
const filter = document.getElementById("filter");

function showCurrent() {
  side.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
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
