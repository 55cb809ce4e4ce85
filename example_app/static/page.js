// The page around the chat: dialogs, scrolling, and parts that the server renders anew.

export const element = (id) => document.getElementById(id);

// <button data-opens="id"> opens a dialog, <button data-close> closes the one it is in.
document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-opens]");
  if (opener) element(opener.dataset.opens).showModal();
  target.closest("[data-close]")?.closest("dialog").close();
  if (opener) opener.closest("[popover]")?.hidePopover();
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

// Scroll along with a growing answer, unless the visitor has scrolled up to read.
export function keepBottom(change) {
  const page = document.scrollingElement;
  const isAtBottom = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  change();
  if (isAtBottom) scrollToBottom();
}

export function scrollToBottom() {
  const page = document.scrollingElement;
  page.scrollTop = page.scrollHeight;
}

// A browser that refuses storage costs the visitor the draft after a reload, nothing else.
export function remember(key, text) {
  try {
    if (text) sessionStorage.setItem(key, text);
    else sessionStorage.removeItem(key);
  } catch {
    // full or forbidden
  }
}

export function recall(key) {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}
