// The chat page: connects keys and buttons to what they do.

import * as chat from "./chat.js";
import * as log from "./messages.js";
import { announce, checkLength, draft, element, focusComposer, isSending, keepDraft, rescueFocus } from "./page.js";
import { loadModels, openPicker } from "./picker.js";
import { showProblem } from "./problem.js";
import { detailsOf, request } from "./stream.js";

const composer = element("composer");
const prompt = element("prompt");
const model = element("model");

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (prompt.value.trim()) chat.send(prompt.value.trim());
});
prompt.addEventListener("keydown", (event) => {
  if (!isSending(event)) return;
  event.preventDefault();
  composer.requestSubmit();
});
prompt.addEventListener("input", () => {
  element("limit").textContent = checkLength(prompt);
  // For browsers in which the style sheet cannot let the box grow with its text.
  prompt.rows = Math.min(prompt.value.split("\n").length, 10);
  keepDraft(prompt.value);
});

document.addEventListener("keydown", (event) => {
  // Escape is also for what is open, and for a filter with text in it.
  if (event.key !== "Escape" || event.defaultPrevented || event.target.matches("#filter:not(:placeholder-shown)")) return;
  if (!document.querySelector("dialog[open], :popover-open")) chat.stop();
});

// The buttons of the page and of a message, by their data-do.
const actions = {
  pick,
  stop: chat.stop,
  idea: (button) => {
    chat.write(button.textContent);
    prompt.focus();
  },
  latest: () => {
    log.scrollToBottom();
    focusComposer();
  },
  copy: (button, { dataset }) => copy(button, request(`${location.pathname}/messages/${dataset.id}.md`).then((r) => r.text())),
  "copy-code": (button) => copy(button, button.closest(".code").querySelector("pre").textContent),
  edit: (_, message) => log.edit(message, (text) => chat.resend(message, text)),
  retry: () => chat.retry(),
  continue: (_, message) => chat.continueAnswer(message),
  version: ({ dataset }) => showVersion(dataset.version),
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-do]");
  if (button && !(chat.isBusy() && button.closest(".message"))) {
    actions[button.dataset.do](button, button.closest(".message"));
  }
});

function pick() {
  openPicker().catch((error) => showProblem(detailsOf(error), pick));
}

// Another version of a message, with all that came after it.
async function showVersion(id) {
  try {
    await request(`${location.pathname}/versions/${id}`, {});
    await log.showStored();
    log.find(id)?.querySelector("[data-do='version']:enabled").focus();
  } catch (error) {
    showProblem(detailsOf(error), () => showVersion(id));
  }
}

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(await text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Could not copy";
  }
  announce(button.textContent);
  setTimeout(() => { button.textContent = label; }, 2000);
}

// Instructions for the conversation go along with each question. The box's default value has
// those in use, and its value what is being written in the dialog.
const instructions = element("instructions-text");

function instruct(text) {
  const note = element("instructions-note");
  instructions.defaultValue = text;
  note.lastElementChild.textContent = text;
  note.hidden = !text;
}

instructions.addEventListener("input", () => checkLength(instructions, "instructions"));
element("instructions").addEventListener("close", ({ target: dialog }) => {
  if (dialog.returnValue) {
    instruct(instructions.value.trim());
    keepDraft(instructions.defaultValue, "instructions");
  }
  instructions.form.reset();
  checkLength(instructions, "instructions");
  dialog.returnValue = "";
});

// Browsers of 2025 do not know what a button's commandfor means.
function command({ target }) {
  const button = target.closest("[commandfor]");
  const dialog = button && element(button.getAttribute("commandfor"));
  if (button?.getAttribute("command") === "show-modal") dialog.showModal();
  else dialog?.close();
}
if (!("command" in HTMLButtonElement.prototype)) document.addEventListener("click", command);

// In the dialog of a new title, typing replaces the old one.
document.addEventListener("focusin", ({ target }) => {
  if (target.id === "new-title") target.select();
});
// Those of the menu are opened by a button that is hidden when they close.
document.addEventListener("close", () => rescueFocus(element("conversation-menu").querySelector("button")), true);

// Waits for an answer that another tab, or this one before a reload, is still getting.
async function follow() {
  while (!chat.isBusy() && log.messages().some(({ dataset }) => dataset.state === "writing")) {
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    if (!chat.isBusy()) await log.showStored().catch(() => {});
  }
}

if (draft("instructions")) instruct(draft("instructions"));
chat.write(prompt.value || draft());
log.addCopyButtons();
if (log.last()) log.scrollToBottom();
try {
  // A visitor who has chosen a model before need not wait for the list.
  if (!model.dataset.id) await loadModels();
} catch (error) {
  showProblem(detailsOf(error), () => location.reload());
}
model.disabled = false;
await follow();
if (!chat.isBusy() && !prompt.value) chat.showUnanswered();
