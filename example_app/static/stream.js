// Requests to this app: an answer as lines of JSON, everything else at once.

const OFFLINE = { message: "This app cannot be reached: check your network. Nothing is lost.", retry: true };
const BROKEN = { message: "The connection to this app broke. What arrived is kept.", retry: true };
const SERVER = { message: "Something went wrong in this app. Try again in a moment.", retry: true };
const PAGE = { message: "This page could not show the answer. Reload it." };
const RECONNECT = {
  key_required: "You are no longer connected to OpenRouter. Connect again to go on.",
  key_rejected: "OpenRouter no longer accepts your key: it was deleted, disabled, or has expired. "
    + "Connect again to go on. Your conversations are kept.",
};

// The details are the fields of a problem in problems.py, or {message, connect: true}.
const failure = (details) => new Error(details.message, { cause: details });

export function detailsOf(error) {
  if (!error.cause) console.error(error);
  return error.cause ?? PAGE;
}

// Sends a GET request, or a POST request if there is data. Throws a failure or an AbortError.
export async function request(url, data, signal) {
  const options = { headers: { Accept: "application/json" }, signal };
  if (data) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(data);
  }
  const response = await fetch(url, options).catch((error) => {
    throw error.name === "AbortError" ? error : failure(OFFLINE);
  });
  if (response.ok) return response;
  const details = await response.json().catch(() => ({}));
  // Flask-OpenRouter: a script without a usable key gets 401 with {error, message, login_url}.
  if (response.status === 401) throw failure({ message: RECONNECT[details.error] ?? details.message, connect: true });
  throw failure(typeof details.message === "string" ? details : SERVER);
}

// Yields {begin}, {html, tail}, {thoughts} and {end}, as answer.py sends them.
export async function* ask(url, question, signal) {
  const response = await request(url, question, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let isComplete = false;
  try {
    for (let read; !(read = await reader.read()).done;) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop();
      // Empty lines are heartbeats.
      for (const part of lines.filter(Boolean).map((line) => JSON.parse(line))) {
        isComplete = "end" in part;
        yield part;
      }
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : failure(BROKEN);
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!isComplete) throw failure(BROKEN);
}
