// Talking to our own server: one answer as lines of JSON, and everything else as one JSON.

const OFFLINE = {
  error: "offline",
  message: "This app cannot be reached: check your network. Nothing is lost.",
  retry: true,
};
const SERVER = { error: "server", message: "Something went wrong in this app. Try again in a moment.", retry: true };

// A problem in plain words, as the server sends it: {error, message, link_text, link_url, choose, retry, wait}.
class Problem extends Error {
  constructor(details) {
    super(details.message);
    this.details = details;
  }
}

export function detailsOf(error) {
  if (error instanceof Problem) return error.details;
  console.error(error);
  return { error: "page", message: "This page could not show the answer. Reload it.", retry: false };
}

// Yields {begin}, {html, tail} and {end}; throws Problem or AbortError.
export async function* ask(url, question, signal) {
  const response = await request(url, { ...json(question), signal });
  let isComplete = false;
  for await (const line of lines(response.body)) {
    if (line === "") continue; // a heartbeat
    const part = JSON.parse(line);
    isComplete = "end" in part;
    yield part;
  }
  if (!isComplete) throw new Problem({ ...OFFLINE, message: "The connection to this app broke. What arrived is kept." });
}

export async function fetchJson(url) {
  return (await request(url, {})).json();
}

export async function fetchText(url) {
  return (await request(url, {})).text();
}

export async function post(url, data) {
  await request(url, json(data));
}

function json(data) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) };
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(OFFLINE);
  }
  if (response.ok) return response;
  throw new Problem(await explain(response));
}

async function explain(response) {
  let details = {};
  try {
    details = await response.json();
  } catch {
    // not JSON
  }
  if (response.status === 401) {
    // Flask-OpenRouter's answer to a script without a usable key: {error, message, login_url}.
    const message = details.error === "key_rejected"
      ? "OpenRouter no longer accepts your key: it was deleted, disabled, or has expired. Connect again to go on. Your conversations are kept."
      : "You are no longer connected to OpenRouter. Connect again to go on.";
    return { error: "not_connected", message, connect: true, retry: false };
  }
  return typeof details.message === "string" ? details : SERVER;
}

async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(reader);
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ ...OFFLINE, message: "The connection to this app broke. What arrived is kept." });
  }
}
