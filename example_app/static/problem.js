// The box that says what went wrong, and what to do now.

import { keepBottom } from "./messages.js";
import { announce, copyOf, element } from "./page.js";

const box = element("problem");
let timer = 0;

export function hideProblem() {
  clearInterval(timer);
  box.replaceChildren();
}

// details: see stream.js. Another model is chosen elsewhere (see app.js).
export function showProblem(details, onRetry) {
  hideProblem();
  const problem = copyOf("problem-template");
  const [words, actions] = problem.children;
  words.textContent = details.message;
  const [connect, help, retry] = actions.children;
  // A new chat may have got an address since the page was loaded.
  const login = new URL(element("chat").dataset.loginUrl, location.href);
  login.searchParams.set("next", location.pathname);
  connect.href = login.href;
  help.href = details.link_url;
  help.textContent = details.link_text;
  retry.onclick = onRetry;
  for (const action of [...actions.children]) {
    if (!details[action.dataset.for]) action.remove();
  }
  if (details.wait) countDown(retry, details.wait);
  // The first is the one that helps most.
  actions.firstElementChild?.classList.replace("quiet", "primary");
  keepBottom(() => box.replaceChildren(problem));
}

// "Try again in 7 s", and then "Try again". Screen readers hear the end only, not each second.
function countDown(retry, seconds) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    retry.disabled = left > 0;
    retry.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0) return;
    clearInterval(timer);
    announce("You can try again now.");
  };
  timer = setInterval(tick, 250);
  tick();
}
