// The messages on the page. Their markup comes from the server's templates in chat.html.

import { speak } from "./announce.js";
import { element, isSending, limitLength, refresh } from "./page.js";
import { keepBottom } from "./scroll.js";

// Looked up each time: the server's version may take its place (see page.js).
const log = () => element("log");

export const messages = () => [...log().querySelectorAll(".message")];
export const find = (id) => messages().find((message) => message.dataset.id === String(id));
export const last = () => messages().at(-1);
export const isUser = (message) => message?.classList.contains("user") ?? false;

// How an answer ended if more of it can be asked for, as in _message.html.
const CONTINUABLE = new Set(["cut", "stopped", "broken", "thought"]);

function add(template) {
  // Imported, not cloned: Chromium finds no direction for text (dir="auto") in what is cloned.
  const message = document.importNode(element(template).content.firstElementChild, true);
  log().append(message);
  return message;
}

export function addQuestion(text) {
  const message = add("question-template");
  message.querySelector(".text").textContent = text;
  return message;
}

// Returns {message, show(part), finish(end)} for an answer that comes in.
export function addAnswer(modelName) {
  const message = add("answer-template");
  message.querySelector(".author").textContent = modelName;
  const text = message.querySelector(".text");
  const thoughts = message.querySelector(".thoughts");
  let tail = [];

  // The server has rendered and cleaned this HTML (render.py); nothing else may come here.
  function append(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const nodes = [...holder.content.childNodes];
    text.append(holder.content);
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

  function finish(state, note) {
    message.dataset.state = state;
    message.querySelector(".note").textContent = note;
    message.querySelector("[data-do='continue']").hidden = !CONTINUABLE.has(state);
    addCopyButtons();
  }

  return { message, show, finish, isEmpty: () => thoughts.hidden && !text.textContent.trim() };
}

// What the server has stored, with its versions.
export async function showStored() {
  await refresh(location.href, "log", "totals");
  addCopyButtons();
}

// Takes out a message and all after it; returns a function that puts them back.
export function takeFrom(message) {
  const taken = messages().slice(messages().indexOf(message));
  for (const node of taken) node.remove();
  return () => log().append(...taken);
}

// Each block of code gets a button of its own.
export function addCopyButtons() {
  for (const head of log().querySelectorAll(".message:not([data-state='writing']) .code-head:not(:has(button))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain-button";
    button.dataset.do = "copy-code";
    button.textContent = "Copy code";
    head.append(button);
  }
}

// Turns a question into a form; calls onSend with the new text, once no answer is under way.
export function edit(message, isBusy, onSend, value = message.querySelector(".text").textContent) {
  const text = message.querySelector(".text");
  const form = element("edit-template").content.firstElementChild.cloneNode(true);
  const box = form.querySelector("textarea");
  const close = () => {
    form.remove();
    text.hidden = message.querySelector(".foot").hidden = false;
    message.querySelector("[data-do='edit']").focus();
  };
  message.querySelector(".edit")?.remove();
  box.value = value;
  limitLength(box);
  text.hidden = message.querySelector(".foot").hidden = true;
  message.append(form);
  box.focus();
  form.querySelector("[type='button']").addEventListener("click", close);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (isSending(event)) form.requestSubmit();
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!box.value.trim() || isBusy()) return;
    close();
    onSend(box.value.trim());
  });
}
