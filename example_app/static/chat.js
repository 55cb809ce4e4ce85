// A turn: asks, shows the answer as it arrives, and puts everything back if it was refused.

import * as log from "./messages.js";
import { announce, element, focusComposer, keepDraft, refresh, rescueFocus } from "./page.js";
import { chosenModel, loadModels } from "./picker.js";
import { hideProblem, showProblem } from "./problem.js";
import { filterConversations } from "./side.js";
import { ask, detailsOf } from "./stream.js";

const chat = element("chat").dataset;
const prompt = element("prompt");
const stopButton = element("stop");

let running = null; // the AbortController of the answer that is being written

export const isBusy = () => running !== null;
export const stop = () => running?.abort();

// A new question at the end; another one instead of a message; the last one once more.
export const send = (text) => run({ text });
export const resend = (message, text) => run({ text, replace: Number(message.dataset.id) });
export const retry = () => run({});

// The rest of an answer; or the answer, with more tokens, if the model has only thought.
export function continueAnswer({ dataset }) {
  run(dataset.state === "thought" ? { long: true } : { text: "Continue where you stopped." });
}

async function run(question) {
  if (running) return;
  const before = log.messages();
  let answer, end, problem;
  running = new AbortController();
  hideProblem();
  showBusy(true);
  try {
    if (!chosenModel().id) await loadModels();
    answer = open(question);
    const sent = {
      ...question,
      conversation: chat.conversation || null,
      model: chosenModel().id,
      instructions: element("instructions-text").defaultValue,
    };
    for await (const part of ask(chat.askUrl, sent, running.signal)) {
      if (part.begin) accept(part.begin, answer);
      else answer.show(part.end ?? part);
      end = part.end;
    }
    ({ problem } = end);
  } catch (error) {
    if (error.name !== "AbortError") problem = detailsOf(error);
  }
  // So that another model can be chosen at once.
  if (problem?.choose) await loadModels().catch(() => {});
  const isAccepted = Boolean(answer?.message.dataset.id);
  const news = isAccepted ? await finish(question, answer, end, problem) : undo(question, before);
  const hadFocus = document.activeElement === stopButton;
  running = null;
  showBusy(false);
  if (hadFocus) focusComposer();
  announce(news);
  if (problem) showProblem(problem, isAccepted ? retry : () => run(question));
  else if (isAccepted) showUnanswered();
}

// Changes the page as if the server had accepted the question.
function open({ text, replace }) {
  const replaced = replace ? log.find(replace) : !text && !log.isUser(log.last()) && log.last();
  while (replaced?.isConnected) log.last().remove();
  if (text) {
    log.addQuestion(text);
    if (prompt.value.trim() === text) write("");
    keepDraft(prompt.value || text); // so that it is still there after a login
  }
  const answer = log.addAnswer(chosenModel().name);
  log.scrollToBottom();
  rescueFocus(stopButton);
  announce("The model is answering.");
  return answer;
}

// The question is part of a conversation now, which has an address.
function accept({ conversation, url, question, answer }, { message }) {
  message.dataset.id = answer;
  if (question) message.previousElementSibling.dataset.id = question;
  element("trouble")?.remove();
  keepDraft("");
  keepDraft("", "instructions");
  if (chat.conversation !== conversation) {
    chat.conversation = conversation;
    history.replaceState(null, "", url);
    const parts = ["conversations", "title", "menu", "conversation-dialogs"];
    refresh(url, ...parts).then(filterConversations).catch(() => {});
  }
  keepDraft(prompt.value); // what was typed meanwhile
}

// Returns what screen readers hear.
async function finish({ text, replace }, answer, end, problem) {
  const state = end?.state ?? (problem ? "broken" : "stopped");
  const note = end?.note ?? `${problem ? "Broken off" : "Stopped"} · price not reported`;
  answer.finish(state, note);
  if (end) element("totals").textContent = end.totals;
  // There are several versions now. An earlier one is shown if this one is not whole.
  if (!text || replace || !answer.message.isConnected) await log.showStored().catch(() => {});
  if (problem || log.isUser(log.last())) return "";
  const isShown = log.find(answer.message.dataset.id);
  const words = [state !== "stopped" && "Answer finished", note, !isShown && "The earlier version is shown"];
  return words.filter(Boolean).join(" · ");
}

function undo({ text, replace }, before) {
  element("log").replaceChildren(...before);
  if (replace) log.find(replace)?.querySelector(".edit textarea")?.focus();
  else if (text && !prompt.value) write(text);
  return "";
}

export function showUnanswered() {
  const unanswered = { message: "Your last message has no answer yet.", retry: true };
  if (log.isUser(log.last())) showProblem(unanswered, retry);
}

// As if the visitor had written it.
export function write(text) {
  prompt.value = text;
  prompt.dispatchEvent(new Event("input"));
}

function showBusy(isBusy) {
  element("send").hidden = isBusy;
  stopButton.hidden = !isBusy;
}
