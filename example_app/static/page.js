// Helpers for the whole page: its parts, the focus, and text that is not sent yet.

import { request } from "./stream.js";

export const element = (id) => document.getElementById(id);

// A copy of what a <template> contains. In what is cloned, Chromium finds no direction (dir="auto").
export const copyOf = (id) => document.importNode(element(id).content.firstElementChild, true);

// Fills the elements with these ids with what the server shows in them at this address now. The
// elements stay, so an open menu stays open.
export async function refresh(url, ...ids) {
  const response = await request(url);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ids) element(id).replaceChildren(...page.getElementById(id).childNodes);
  document.title = page.title;
}

// What screen readers hear: "Stopped".
export function announce(text) {
  element("status").textContent = text;
}

// On a touch screen, Enter begins a new line, and no keyboard may cover the answer.
const isTouch = matchMedia("(hover: none) and (pointer: coarse)").matches;

export function focusComposer() {
  element(isTouch ? "send" : "prompt").focus({ preventScroll: true });
}

// What had the focus may be gone, such as the button that was pressed.
export function rescueFocus(target) {
  const { activeElement } = document;
  if (activeElement === document.body || !activeElement.checkVisibility()) target.focus({ preventScroll: true });
}

// isComposing: this Enter picks a word of an input method.
export function isSending(event) {
  if (event.key !== "Enter" || event.isComposing) return false;
  return event.ctrlKey || event.metaKey || !(event.shiftKey || isTouch);
}

// A text box takes any paste. If that is too long, it cannot be sent. Returns the reason.
export function checkLength(box, what = "a message") {
  const most = Number(box.dataset.limit);
  const over = box.value.length - most;
  const count = `${over.toLocaleString("en")} character${over === 1 ? "" : "s"}`;
  box.setCustomValidity(over > 0 ? `${count} too many: ${what} can have ${most.toLocaleString("en")}.` : "");
  return box.validity.customError ? box.validationMessage : "";
}

// Drafts: a text of each kind, for each address, in this tab.
const keyOf = (kind) => `${kind} ${location.pathname}`;
export const draft = (kind = "draft") => sessionStorage.getItem(keyOf(kind)) ?? "";
export const keepDraft = (text, kind = "draft") => sessionStorage.setItem(keyOf(kind), text);
