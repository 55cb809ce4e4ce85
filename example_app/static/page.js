// The page around the chat: dialogs, focus, drafts, and parts that the server renders anew.

export const element = (id) => document.getElementById(id);

// <button data-opens="id"> opens a dialog, <button data-close> closes the one it is in.
document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-opens]");
  target.closest("[data-close]")?.closest("dialog").close();
  if (!opener) return;
  const dialog = element(opener.dataset.opens);
  dialog.showModal();
  dialog.querySelector("input")?.select();
  opener.closest("[popover]")?.hidePopover();
});

// Fetches a page of ours and puts the parts with these ids in the place of the present ones.
// Its markup is the server's, so scripts in it would not run, and there are none.
export async function refresh(url, ...ids) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  if (!response.ok) return false;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ids) {
    const part = fresh.getElementById(id);
    if (part) element(id).replaceWith(document.adoptNode(part));
  }
  document.title = fresh.title;
  return true;
}

// Keys for a phone: Enter begins a new line, and no keyboard slides over the page unasked.
export const isTouch = matchMedia("(hover: none) and (pointer: coarse)").matches;

export function focusComposer() {
  element(isTouch ? "send" : "prompt").focus({ preventScroll: true });
}

// Whoever uses the keyboard must not be thrown to the top when what they pressed goes away.
export function rescueFocus(target) {
  const { activeElement } = document;
  if (activeElement === document.body || !activeElement?.checkVisibility()) target.focus({ preventScroll: true });
}

// Enter sends. isComposing: Enter that picks a word of an input method is not meant for us.
export function isSending(event) {
  if (event.key !== "Enter" || event.isComposing) return false;
  return event.ctrlKey || event.metaKey || !(event.shiftKey || isTouch);
}

// A text box that takes any paste, says when it is too long, and cannot be sent then.
export function limitLength(box, say = () => {}) {
  const most = Number(element("prompt").dataset.limit);
  const check = () => {
    const over = box.value.length - most;
    const words = over > 0 ? `${over.toLocaleString("en")} characters too many: a message can have ${most.toLocaleString("en")}.` : "";
    box.setCustomValidity(words);
    say(words);
  };
  box.addEventListener("input", check);
  check();
}

// What is written and not sent, one text for each conversation of this tab.
// A browser that refuses storage costs the visitor the draft after a reload, nothing else.
const draftKey = (kind) => `${kind} ${location.pathname}`;

export function keepDraft(text, kind = "draft") {
  try {
    if (text) sessionStorage.setItem(draftKey(kind), text);
    else sessionStorage.removeItem(draftKey(kind));
  } catch {
    // full or forbidden
  }
}

export function draft(kind = "draft") {
  try {
    return sessionStorage.getItem(draftKey(kind)) ?? "";
  } catch {
    return "";
  }
}
