// Asking and answering: one answer at a time, and what happens when it does not come.

import { announce, silence } from "./announce.js";
import { changedInstructions, instructionsKept } from "./instructions.js";
import * as log from "./log.js";
import { element, focusComposer, keepDraft, refresh, rescueFocus } from "./page.js";
import { chosenModel, loadModels, openPicker } from "./picker.js";
import { hideProblem, showProblem } from "./problem.js";
import { scrollToBottom } from "./scroll.js";
import { ask, detailsOf, post } from "./stream.js";

const { askUrl, chooseUrl } = element("chat").dataset;
const prompt = element("prompt");
const stopButton = element("stop");
const UNANSWERED = { error: "unanswered", message: "Your last message has no answer yet.", retry: true };

let conversation = element("chat").dataset.conversation || null;
let running = null; // the AbortController of the answer that is being written

export const isBusy = () => running !== null;
export const stop = () => running?.abort();

// A new question at the end.
export function send(text) {
  const question = { text: text.trim() };
  if (running || !question.text) return;
  prompt.value = "";
  run(question, () => ({ asked: log.addQuestion(question.text) }));
}

// Another question in the place of one, and of all that came after it.
export function resend(message, text) {
  const question = { text, replace: Number(message.dataset.id) };
  if (!running) run(question, () => ({ putBack: log.takeFrom(message), asked: log.addQuestion(text) }));
}

// The last question once more.
export function retry(more = {}) {
  const hasAnswer = log.last() && !log.isUser(log.last());
  if (!running) run(more, () => (hasAnswer ? { putBack: log.takeFrom(log.last()) } : {}));
}

// The rest of an answer; or the answer, with more tokens, if the model has only thought.
export function continueAnswer(message) {
  const text = "Continue where you stopped.";
  if (message.dataset.state === "thought") retry({ long: true });
  else if (!running) run({ text }, () => ({ asked: log.addQuestion(text) }));
}

// The model belongs to the conversation. One that could not be saved is sent with the next question.
export function keepModel() {
  if (conversation) post(chooseUrl, { model: chosenModel().id, conversation }).catch(() => {});
}

// Asks, and shows the answer. prepare() changes the page as if the server had agreed; until it
// does, with {begin}, all of that can be undone. The turn collects what happens.
async function run(question, prepare) {
  running = new AbortController();
  const turn = { question, hasBegun: false, state: "stopped", problem: null };
  hideProblem();
  setBusy(true);
  try {
    await loadModels();
    Object.assign(turn, prepare());
    await listen(turn);
  } catch (error) {
    if (error.name !== "AbortError") {
      turn.state = "broken";
      turn.problem = detailsOf(error);
    }
  }
  const hadFocus = document.activeElement === stopButton;
  running = null;
  setBusy(false);
  if (hadFocus) focusComposer();
  if (turn.hasBegun) await keep(turn);
  else undo(turn);
  tell(turn, turn.hasBegun ? () => retry() : () => {
    if (prompt.value === question.text) prompt.value = "";
    run(question, prepare);
  });
}

async function listen(turn) {
  const { question } = turn;
  turn.answer = log.addAnswer(chosenModel().name);
  element("empty").hidden = true;
  scrollToBottom();
  rescueFocus(stopButton);
  silence();
  announce("The model is answering.");
  // Kept until it is accepted, so that it is still there after a login.
  if (question.text) keepDraft(question.text);
  const context = { conversation, model: chosenModel().id, instructions: changedInstructions() };
  for await (const part of ask(askUrl, { ...question, ...context }, running.signal)) {
    if (part.begin) {
      turn.hasBegun = true;
      keepDraft("");
      instructionsKept();
      begin(part.begin, turn);
      keepDraft(prompt.value); // what was typed meanwhile
    } else if (part.end) {
      turn.answer.show(part.end);
      Object.assign(turn, part.end);
      element("totals").textContent = part.end.totals;
    } else {
      turn.answer.show(part);
    }
  }
}

// The server has accepted the question: now it is part of a conversation, which has an address.
function begin({ conversation: id, url, question, answer }, turn) {
  if (turn.asked) turn.asked.dataset.id = question;
  turn.answer.message.dataset.id = answer;
  element("trouble")?.remove();
  if (conversation === id) return;
  conversation = id;
  history.replaceState(null, "", url);
  refresh(url, "conversations", "title", "conversation-menu", "conversation-dialogs").catch(() => {});
}

async function keep(turn) {
  const { answer, state, note, putBack } = turn;
  turn.note = note ?? `${state === "stopped" ? "Stopped" : "Broken off"} · price not reported`;
  turn.isEmpty = answer.isEmpty();
  if (turn.isEmpty) answer.message.remove();
  else answer.finish(state, turn.note);
  if (!putBack) return;
  // One version of several now: the earlier one is still shown if this one is not whole.
  await log.showStored().catch(() => {});
  if (!log.find(answer.message.dataset.id)) turn.note = `${turn.note} · The earlier version is shown`;
}

// Refused: the page is as before, and the question is back in its box.
function undo({ question, answer, asked, putBack }) {
  answer?.message.remove();
  asked?.remove();
  putBack?.();
  if (question.replace) {
    const message = log.find(question.replace);
    log.edit(message, isBusy, (text) => resend(message, text), question.text);
  } else if (question.text) prompt.value ||= question.text;
  element("empty").hidden = log.messages().length > 0;
}

function tell({ problem, state, isEmpty, note }, onRetry) {
  if (problem) {
    announce("");
    show(problem, onRetry);
  } else if (!isEmpty) {
    announce(state === "stopped" ? note : `Answer finished · ${note}`);
  } else {
    announce("");
    showUnanswered();
  }
}

export function showUnanswered() {
  if (log.isUser(log.last())) show(UNANSWERED, () => retry());
}

export function showTrouble(error, onRetry) {
  show(detailsOf(error), onRetry);
}

function show(details, onRetry) {
  showProblem(details, { onRetry, onChooseModel: pick });
}

export async function pick() {
  try {
    await openPicker();
  } catch (error) {
    showTrouble(error, pick);
  }
}

function setBusy(isBusy) {
  element("send").hidden = isBusy;
  stopButton.hidden = !isBusy;
}
