// Instructions for the whole conversation: a dialog. They go along with the next question.

import { draft, element, keepDraft } from "./page.js";

const dialog = element("instructions");
const box = element("instructions-text");
const note = element("instructions-note");
let current = box.value;
let changed; // undefined: the server has them already

export const changedInstructions = () => changed;

export function instructionsKept() {
  changed = undefined;
  keepDraft("", "instructions");
}

function change(text) {
  current = changed = text;
  note.hidden = !text;
  note.lastElementChild.textContent = text;
}

dialog.addEventListener("close", () => {
  if (dialog.returnValue === "use") {
    change(box.value.trim());
    keepDraft(current, "instructions");
  }
  dialog.returnValue = "";
  box.value = current;
});

if (draft("instructions")) change(box.value = draft("instructions"));
