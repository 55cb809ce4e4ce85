// Asking and answering: one answer at a time, and what happens when it does not come.

import { announce, silence } from "./announce.js";
import { changedInstructions, instructionsKept } from "./instructions.js";
import * as log from "./log.js";
import { waitForApp } from "./network.js";
import { element, focusComposer, keepDraft, refresh, rescueFocus } from "./page.js";
import { chosenModel, loadModels, openPicker } from "./picker.js";
import { hideProblem, showProblem } from "./problem.js";
import { scrollToBottom } from "./scroll.js";
import { ask, Problem } from "./stream.js";

const { askUrl, loginUrl } = element("chat").dataset;
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
export function retry() {
  const hasAnswer = log.last() && !log.isUser(log.last());
  if (!running) run({}, () => (hasAnswer ? { putBack: log.takeFrom(log.last()) } : {}));
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
  if (turn.hasBegun) keep(turn);
  else undo(turn);
  tell(turn, turn.hasBegun ? retry : () => { prompt.value = ""; run(question, prepare); });
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
  if (conversation === id) return;
  conversation = id;
  history.replaceState(null, "", url);
  refresh(url, "conversations", "title", "conversation-menu", "conversation-dialogs").catch(() => {});
}

function keep({ answer, state, note }) {
  if (answer.isEmpty()) answer.message.remove();
  else answer.finish(state, note ?? `${state === "stopped" ? "Stopped" : "Broken off"} · price not reported`);
}

// Refused: the page is as before, and a new question is back in the box.
function undo({ question, answer, asked, putBack }) {
  answer?.message.remove();
  asked?.remove();
  putBack?.();
  if (question.text && !question.replace) prompt.value ||= question.text;
  element("empty").hidden = log.messages().length > 0;
}

function tell({ problem, state, answer }, onRetry) {
  if (problem) {
    announce("");
    show(problem, onRetry);
    if (problem.error === "offline") resume();
  } else if (answer.message.isConnected) {
    const note = answer.message.querySelector(".note").textContent;
    announce(state === "stopped" ? note : `Answer finished · ${note}`);
  } else {
    announce("");
    showUnanswered();
  }
}

export function showUnanswered() {
  if (log.isUser(log.last())) show(UNANSWERED, retry);
}

export function showTrouble(error, onRetry) {
  show(detailsOf(error), onRetry);
}

function show(details, onRetry) {
  showProblem(details, { loginUrl: loginUrlHere(), onRetry, onChooseModel: pick });
}

export async function pick() {
  try {
    await openPicker();
  } catch (error) {
    showTrouble(error, pick);
  }
}

// The login comes back to the page as it is now: a new chat may have got an address meanwhile.
function loginUrlHere() {
  const url = new URL(loginUrl, location.href);
  url.searchParams.set("next", location.pathname);
  return url.pathname + url.search;
}

// The network was lost. When it is back, the page shows what the server has kept; asking again,
// which costs money, is left to the visitor.
async function resume() {
  await waitForApp();
  if (running) return;
  if (conversation) await refresh(location.href, "log", "totals").catch(() => {});
  log.addCopyButtons();
  hideProblem();
  announce("You are online again.");
  showUnanswered();
}

function detailsOf(error) {
  if (error instanceof Problem) return error.details;
  console.error(error);
  return { error: "page", message: "This page could not show the answer. Reload it.", retry: false };
}

function setBusy(isBusy) {
  element("send").hidden = isBusy;
  stopButton.hidden = !isBusy;
}
