// The conversation: text only, kept for this tab across a reload, and forgotten on disconnect.

const KEY = "conversation";
const MODEL_KEY = "model";

// {role: "user", content} and {role: "assistant", content, model, note}
export const messages = read();

export function add(message) {
  messages.push(message);
  save();
}

export function clear() {
  messages.length = 0;
  save();
}

export function save() {
  store(KEY, JSON.stringify(messages));
}

// The newest messages that fit, oldest first, starting with one of the visitor's.
export function forSending(maxTotal, maxMessages = 40) {
  const fitting = [];
  let total = 0;
  for (const { role, content } of messages.toReversed()) {
    total += content.length;
    if (fitting.length > 0 && (total > maxTotal || fitting.length >= maxMessages)) break;
    fitting.unshift({ role, content });
  }
  while (fitting.length > 1 && fitting[0].role !== "user") fitting.shift();
  return fitting;
}

export function rememberModel(id) {
  store(MODEL_KEY, id);
}

export function rememberedModel() {
  return load(MODEL_KEY);
}

function read() {
  try {
    const found = JSON.parse(load(KEY) ?? "[]");
    const isMessage = (m) => typeof m?.content === "string" && ["user", "assistant"].includes(m.role);
    return Array.isArray(found) ? found.filter(isMessage) : [];
  } catch {
    return [];
  }
}

// A browser that refuses storage costs the visitor the reload, nothing else.
function load(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // full or forbidden
  }
}
