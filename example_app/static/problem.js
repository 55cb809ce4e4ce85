// The box that says what went wrong and what to do now.

import { announce } from "./announce.js";
import { element } from "./page.js";
import { keepBottom } from "./scroll.js";

const box = element("problem");
let timer = 0;

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function button(label, onClick) {
  const node = make("button", "button quiet", label);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

function link(label, url) {
  const node = make("a", "button quiet", label);
  node.href = /^(https?:\/\/|\/(?!\/))/.test(url) ? url : "/";
  return node;
}

export function hideProblem() {
  clearInterval(timer);
  box.replaceChildren();
}

// The login comes back to the page as it is now: a new chat may have got an address meanwhile.
function loginUrl() {
  const url = new URL(element("chat").dataset.loginUrl, location.href);
  url.searchParams.set("next", location.pathname);
  return url.pathname + url.search;
}

// details: see stream.js. next: {onRetry, onChooseModel}, what the buttons do.
export function showProblem(details, next) {
  hideProblem();
  const inner = make("div", "problem", "");
  inner.append(make("p", "", details.message));
  const actions = make("p", "actions", "");
  if (details.connect) actions.append(link("Connect OpenRouter again", loginUrl()));
  if (details.link_url) {
    const node = link(details.link_text, details.link_url);
    node.target = "_blank";
    node.rel = "noreferrer";
    actions.append(node);
  }
  if (details.retry && next.onRetry) {
    const retry = button("Try again", next.onRetry);
    actions.append(retry);
    if (details.wait) countDown(retry, details.wait);
  }
  if (details.choose) actions.append(button("Choose another model", next.onChooseModel));
  // The first is the one that helps most.
  actions.firstElementChild?.classList.replace("quiet", "primary");
  if (actions.hasChildNodes()) inner.append(actions);
  keepBottom(() => box.replaceChildren(inner));
}

// "Try again in 7 s", and then "Try again". Screen readers hear the end only, not each second.
function countDown(retry, seconds) {
  const until = Date.now() + seconds * 1000;
  retry.ariaLive = "off";
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    retry.disabled = left > 0;
    retry.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0) return;
    clearInterval(timer);
    announce("You can try again now.");
  };
  tick();
  timer = setInterval(tick, 250);
}
