// The way to the app is gone: wait for it to come back.

import { fetchJson } from "./stream.js";

const LONGEST_WAIT = 15_000;

// Resolves when the app answers again. Looks sooner when the browser says that it is online.
export async function waitForApp() {
  for (let wait = 1000; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    await online(wait);
    try {
      await fetchJson("/health");
      return;
    } catch {
      // not yet
    }
  }
}

function online(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
