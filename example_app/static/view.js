// What the visitor sees. Foreign text only ever becomes a text node, never markup.

export const element = (id) => document.getElementById(id);

const log = element("log");
const problemBox = element("problem");
const status = element("status");

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function button(label, onClick) {
  const node = make("button", "button quiet small", label);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

// Adds a message and returns {append(text), finish(note)} to go on with it.
export function showMessage({ role, content, model, note }) {
  const article = make("article", `message ${role}`);
  const label = make("h3", "author", role === "user" ? "You" : model || "Answer");
  const text = make("div", "text", content);
  text.dir = "auto";
  article.append(label, text);
  log.append(article);
  const finish = (lastNote) => {
    if (role !== "assistant" || !text.textContent) return;
    const foot = make("p", "foot");
    foot.append(button("Copy", (event) => copy(text.textContent, event.currentTarget)));
    if (lastNote) foot.append(make("span", "", lastNote));
    article.append(foot);
  };
  if (content) finish(note);
  return {
    append: (delta) => keepBottom(() => text.append(delta)),
    finish: (lastNote) => keepBottom(() => finish(lastNote)),
    remove: () => article.remove(),
  };
}

async function copy(text, source) {
  try {
    await navigator.clipboard.writeText(text);
    source.textContent = "Copied";
  } catch {
    source.textContent = "Could not copy";
  }
  announce(source.textContent);
  setTimeout(() => { source.textContent = "Copy"; }, 2000);
}

export function clearMessages() {
  log.replaceChildren();
}

// While an answer grows, screen readers wait; they hear the whole of it at the end.
export function setBusy(isBusy) {
  log.setAttribute("aria-busy", String(isBusy));
  element("send").hidden = isBusy;
  element("stop").hidden = !isBusy;
  element("new-chat").disabled = isBusy;
}

export function announce(text) {
  status.textContent = text;
}

export function showProblem({ error, message, link, retry }, { loginUrl, onRetry }) {
  const box = make("div", "problem");
  box.append(make("p", "", message));
  const actions = make("p", "actions");
  if (error === "rejected") actions.append(anchor("Connect OpenRouter again", loginUrl));
  if (link) {
    const node = anchor(link.text, link.url);
    node.target = "_blank";
    node.rel = "noreferrer";
    actions.append(node);
  }
  if (retry && onRetry) actions.append(button("Try again", onRetry));
  if (actions.hasChildNodes()) box.append(actions);
  keepBottom(() => problemBox.replaceChildren(box));
}

export function hideProblem() {
  problemBox.replaceChildren();
}

function anchor(text, url) {
  const node = make("a", "button quiet small", text);
  node.href = /^(https?:\/\/|\/(?!\/))/.test(url) ? url : "/";
  return node;
}

export function showModels(models, chosen) {
  const select = element("model");
  const groups = new Map();
  for (const { id, name } of models) {
    const [maker, ...rest] = name.split(": ");
    const group = rest.length > 0 ? maker : "Other";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(new Option(rest.join(": ") || name, id, false, id === chosen));
  }
  select.replaceChildren();
  for (const [label, options] of groups) {
    const group = document.createElement("optgroup");
    group.label = label;
    group.append(...options);
    select.append(group);
  }
  select.disabled = false;
}

export function showModelsMissing() {
  element("model").replaceChildren(new Option("No models", ""));
}

// Scroll along with a growing answer, unless the visitor has scrolled up to read.
function keepBottom(change) {
  const page = document.scrollingElement;
  const isAtBottom = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  change();
  if (isAtBottom) scrollToBottom();
}

export function scrollToBottom() {
  const page = document.scrollingElement;
  page.scrollTop = page.scrollHeight;
}
