// Scrolling: along with a growing answer, unless the visitor has scrolled up to read.

import { element, focusComposer } from "./page.js";

const page = document.scrollingElement;
const button = element("latest");

const isAtBottom = () => page.scrollHeight - page.scrollTop - page.clientHeight < 80;
const update = () => { button.hidden = isAtBottom() || !element("empty").hidden; };

export function keepBottom(change) {
  const wasAtBottom = isAtBottom();
  change();
  if (wasAtBottom) scrollToBottom();
  else update();
}

export function scrollToBottom() {
  page.scrollTop = page.scrollHeight;
  update();
}

addEventListener("scroll", update, { passive: true });
addEventListener("resize", update);
button.addEventListener("click", () => {
  scrollToBottom();
  focusComposer();
});
