// What screen readers hear. The log itself is silent: its text changes many times a second.

import { element } from "./page.js";

const status = element("status");
const spoken = element("spoken");

// What happens: "The model is answering", "Stopped".
export function announce(text) {
  status.textContent = text;
}

// What the model says, a finished paragraph at a time. The region is polite: it waits its turn.
export function speak(node) {
  const text = node.textContent.trim();
  if (!text) return;
  const line = document.createElement("p");
  line.textContent = text;
  spoken.append(line);
}

export function silence() {
  spoken.replaceChildren();
}
