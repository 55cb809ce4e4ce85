// The messages on the page. Their markup comes from the server: see _macros.html and render.py.

import { checkLength, copyOf, element, isSending, refresh } from "./page.js";

const page = document.scrollingElement;
const spoken = element("spoken");
const latest = element("latest");

export const messages = () => [...element("log").children];
export const find = (id) => messages().find((message) => message.dataset.id === String(id));
export const last = () => messages().at(-1);
export const isUser = (message) => message?.classList.contains("user") ?? false;

export function addQuestion(text) {
  const message = copyOf("question-template");
  message.querySelector(".text").textContent = text;
  element("log").append(message);
}

// Returns {message, show(part), finish(state, note)} for an answer that comes in.
export function addAnswer(modelName) {
  const message = copyOf("answer-template");
  const [author, text, thoughts, note] = [".author", ".text", ".thoughts", ".note"].map((part) => message.querySelector(part));
  let tail = [];
  author.textContent = modelName;
  element("log").append(message);
  spoken.replaceChildren();

  // The server has rendered and cleaned this HTML; nothing else may come here.
  function append(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const nodes = [...holder.content.childNodes];
    text.append(...nodes);
    return nodes;
  }

  function show({ html, tail: growing = "", thoughts: thought = "" }) {
    keepBottom(() => {
      if (thought) thoughts.hidden = false;
      thoughts.lastElementChild.append(thought);
      if (html === undefined) return;
      for (const node of tail) node.remove();
      append(html).forEach(speak);
      tail = append(growing);
    });
  }

  function finish(state, words) {
    message.dataset.state = state;
    note.textContent = words;
    if (thoughts.hidden && !text.textContent.trim()) message.remove();
    addCopyButtons();
  }

  return { message, show, finish };
}

// Screen readers hear finished paragraphs: the log changes many times a second.
function speak({ textContent }) {
  if (!textContent.trim()) return;
  const line = document.createElement("p");
  line.textContent = textContent;
  spoken.append(line);
}

export async function showStored() {
  await refresh(location.href, "log", "totals");
  addCopyButtons();
}

export function addCopyButtons() {
  for (const head of element("log").querySelectorAll(".code-head:not(:has(button))")) {
    head.append(copyOf("copy-template"));
  }
}

// Turns a question into a form. It goes away when it is sent, with the message itself.
export function edit(message, onSend) {
  const form = copyOf("edit-template");
  const [box, cancel] = form.querySelectorAll("textarea, [type='button']");
  const close = () => {
    form.remove();
    message.querySelector("[data-do='edit']").focus();
  };
  box.value = message.querySelector(".text").textContent;
  message.append(form);
  box.focus();
  cancel.addEventListener("click", close);
  box.addEventListener("input", () => checkLength(box));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (isSending(event)) form.requestSubmit();
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (box.value.trim()) onSend(box.value.trim());
  });
}

// The page scrolls along with a growing answer, unless the visitor has scrolled up to read.
const isAtBottom = () => page.scrollHeight - page.scrollTop - page.clientHeight < 80;
const showLatest = () => { latest.hidden = isAtBottom() || !last(); };

export function keepBottom(change) {
  const wasAtBottom = isAtBottom();
  change();
  if (wasAtBottom) scrollToBottom();
  else showLatest();
}

export function scrollToBottom() {
  page.scrollTop = page.scrollHeight;
  showLatest();
}

addEventListener("scroll", showLatest, { passive: true });
addEventListener("resize", showLatest);
