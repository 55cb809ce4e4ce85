// The chat page: connects keys and buttons to what they do.

import { announce } from "./announce.js";
import * as chat from "./chat.js";
import * as log from "./log.js";
import { draft, element, isSending, keepDraft, limitLength } from "./page.js";
import { loadModels } from "./picker.js";
import { scrollToBottom } from "./scroll.js";
import { fetchText, post } from "./stream.js";

const composer = element("composer");
const prompt = element("prompt");
const model = element("model");

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  chat.send(prompt.value);
});

prompt.addEventListener("keydown", (event) => {
  if (!isSending(event)) return;
  event.preventDefault();
  if (prompt.value.trim()) composer.requestSubmit();
});

prompt.addEventListener("input", () => keepDraft(prompt.value));

// Elsewhere the style sheet lets the box grow with its text.
if (!CSS.supports("field-sizing", "content")) {
  prompt.addEventListener("input", () => { prompt.rows = Math.min(prompt.value.split("\n").length, 10); });
}

document.addEventListener("keydown", (event) => {
  const closesSomething = event.defaultPrevented || document.querySelector("dialog[open], :popover-open");
  if (event.key === "Escape" && !closesSomething) chat.stop();
});

element("stop").addEventListener("click", chat.stop);

model.addEventListener("click", chat.pick);
model.addEventListener("chosen", () => {
  announce(`Model: ${element("model-name").textContent}`);
  chat.keepModel();
});

element("empty").addEventListener("click", (event) => {
  const idea = event.target.closest(".idea");
  if (!idea) return;
  prompt.value = idea.textContent;
  prompt.focus();
});

// The buttons below a message.
const actions = {
  copy: (message, button) => copy(button, () => fetchText(`${location.pathname}/messages/${message.dataset.id}.md`)),
  "copy-code": (message, button) => copy(button, () => button.closest(".code").querySelector("pre").textContent),
  edit: (message) => log.edit(message, chat.isBusy, (text) => chat.resend(message, text)),
  retry: () => chat.retry(),
  continue: (message) => chat.continueAnswer(message),
  version: (_, button) => showVersion(button.dataset.version),
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-do]");
  if (button && !chat.isBusy()) actions[button.dataset.do](button.closest(".message"), button);
});

// Another version of a message, with all that came after it.
async function showVersion(id) {
  try {
    await post(`${location.pathname}/versions/${id}`, {});
    await log.showStored();
    log.find(id)?.querySelector("[data-do='version']:enabled").focus();
  } catch (error) {
    chat.showTrouble(error);
  }
}

async function copy(button, read) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(await read());
    button.textContent = "Copied";
  } catch {
    button.textContent = "Could not copy";
  }
  announce(button.textContent);
  setTimeout(() => { button.textContent = label; }, 2000);
}

// An answer that another tab, or this one before a reload, is still getting: look again.
async function follow() {
  while (!chat.isBusy() && log.messages().some((message) => message.dataset.state === "writing")) {
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    if (!chat.isBusy()) await log.showStored().catch(() => {});
  }
  log.addCopyButtons();
}

prompt.value ||= draft();
limitLength(prompt, (words) => { element("limit").textContent = words; });
log.addCopyButtons();
if (log.last()) scrollToBottom();
try {
  // Who has chosen a model before need not wait for the list.
  if (!model.dataset.id) await loadModels();
} catch (error) {
  chat.showTrouble(error, () => location.reload());
}
model.disabled = false;
await follow();
if (!chat.isBusy() && !prompt.value) chat.showUnanswered();
