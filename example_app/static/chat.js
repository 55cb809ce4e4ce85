// The chat page: connects the form to the conversation, the server and the view.

import { ask, fetchModels, Problem } from "./answer.js";
import * as conversation from "./conversation.js";
import * as view from "./view.js";

const { chatUrl, modelsUrl, loginUrl, maxTotal } = view.element("chat").dataset;
const composer = view.element("composer");
const prompt = view.element("prompt");
const model = view.element("model");
const stop = view.element("stop");
const empty = view.element("empty");

const FAVOURITE_MODEL = "openrouter/auto";
const UNANSWERED = { error: "unanswered", message: "Your last message has no answer yet.", retry: true };

let running = null; // the AbortController of the answer that is being written

async function answer() {
  running = new AbortController();
  const message = { role: "assistant", content: "", model: modelName(), note: "" };
  const body = { model: model.value, messages: conversation.forSending(Number(maxTotal)) };
  const bubble = view.showMessage(message);
  view.hideProblem();
  view.setBusy(true);
  view.announce("The model is answering.");
  let problem = null;
  try {
    for await (const part of ask(chatUrl, body, running.signal)) {
      if (part.text) {
        message.content += part.text;
        bubble.append(part.text);
      }
      if (typeof part.cost === "number") message.note = `Cost ${dollars(part.cost)}`;
      if (part.cut) message.note = joined("Cut at the length limit", message.note);
    }
  } catch (error) {
    if (error.name === "AbortError") message.note = joined("Stopped", message.note);
    else problem = error instanceof Problem ? error : brokenPage(error);
  }
  if (problem) message.note = joined("Broken off", message.note);
  bubble.finish(message.note);
  if (message.content) conversation.add(message);
  else bubble.remove();
  running = null;
  const hadFocus = document.activeElement === stop;
  view.setBusy(false);
  if (hadFocus) prompt.focus();
  if (problem) {
    view.announce("");
    showProblem(problem);
  } else {
    view.announce(joined("Answer finished", message.note));
    if (conversation.messages.at(-1)?.role === "user") showProblem(UNANSWERED);
  }
}

function brokenPage(error) {
  console.error(error);
  return { error: "page", message: "This page could not show the answer. Reload it.", retry: false };
}

function showProblem(problem) {
  view.showProblem(problem, { loginUrl, onRetry: retry });
}

// Asks the visitor's last message again; an answer that broke off makes room for a whole one.
function retry() {
  if (running) return;
  if (conversation.messages.at(-1)?.role === "assistant") conversation.messages.pop();
  conversation.save();
  render();
  prompt.focus();
  answer();
}

function send(text) {
  if (running || !text.trim()) return;
  if (!model.value) {
    loadModels();
    return;
  }
  const message = { role: "user", content: text.trim() };
  conversation.add(message);
  empty.hidden = true;
  view.showMessage(message);
  view.scrollToBottom();
  prompt.value = "";
  prompt.focus();
  answer();
}

function render() {
  view.clearMessages();
  view.hideProblem();
  conversation.messages.forEach(view.showMessage);
  empty.hidden = conversation.messages.length > 0;
}

function joined(...texts) {
  return texts.filter(Boolean).join(" · ");
}

function modelName() {
  return model.selectedOptions[0]?.textContent ?? "";
}

function dollars(cost) {
  const digits = cost > 0 && cost < 0.01 ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2 };
  return `$${cost.toLocaleString("en-US", { maximumFractionDigits: 10, ...digits })}`;
}

async function loadModels() {
  try {
    const models = await fetchModels(modelsUrl);
    const ids = new Set(models.map(({ id }) => id));
    const wanted = [conversation.rememberedModel(), FAVOURITE_MODEL].find((id) => ids.has(id));
    view.showModels(models, wanted);
  } catch (problem) {
    view.showModelsMissing();
    view.showProblem(problem, { loginUrl, onRetry: () => { view.hideProblem(); loadModels(); } });
  }
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  send(prompt.value);
});

prompt.addEventListener("keydown", (event) => {
  // isComposing: Enter that picks a word of an input method is not meant for us.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send(prompt.value);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

stop.addEventListener("click", () => running?.abort());

model.addEventListener("change", () => conversation.rememberModel(model.value));

empty.addEventListener("click", (event) => {
  const idea = event.target.closest(".idea");
  if (!idea) return;
  prompt.value = idea.textContent;
  prompt.focus();
});

view.element("new-chat").addEventListener("click", () => {
  conversation.clear();
  render();
  view.announce("New chat started.");
  prompt.focus();
});

// Whoever uses this browser next must not find the conversation.
view.element("disconnect").addEventListener("submit", () => conversation.clear());

render();
if (conversation.messages.length > 0) view.scrollToBottom();
await loadModels();
if (model.value && conversation.messages.at(-1)?.role === "user") showProblem(UNANSWERED);
