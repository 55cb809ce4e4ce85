// Talking to our own server: the list of models, and an answer as lines of JSON.

const OFFLINE = {
  error: "offline",
  message: "This app could not be reached. Check the network and try again.",
  retry: true,
};

// A problem in plain words, as the server sends it: {error, message, link, retry}.
export class Problem extends Error {
  constructor(details) {
    super(details.message);
    Object.assign(this, details);
  }
}

export async function fetchModels(url) {
  const response = await request(url, {});
  return (await response.json()).models;
}

// Yields {text}, {cost, total_tokens} and finally {done, cut}; throws Problem or AbortError.
export async function* ask(url, body, signal) {
  const response = await request(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  for await (const line of lines(response.body)) {
    if (line === "") continue;
    const part = JSON.parse(line);
    if (part.error) throw new Problem(part);
    yield part;
    if (part.done) return;
  }
  throw new Problem({ ...OFFLINE, message: "The answer broke off before its end." });
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
  if (response.status === 401) {
    const message = "You are no longer connected to OpenRouter. Connect again to go on.";
    return { error: "rejected", message, retry: false };
  }
  try {
    const details = await response.json();
    if (typeof details.message === "string") return details;
  } catch {
    // not JSON
  }
  return { error: "server", message: "Something went wrong in this app. Try again in a moment.", retry: true };
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
    throw error.name === "AbortError" ? error : new Problem(OFFLINE);
  }
}
