// The dialog in which a model is chosen: a search box that drives a list (ARIA: combobox).

import { announce, copyOf, element } from "./page.js";
import { find } from "./search.js";
import { request } from "./stream.js";

const chat = element("chat").dataset;
const button = element("model");
const dialog = element("picker");
const search = element("search");
const freeOnly = element("free-only");
const list = element("models");
let models = [];
let recent = []; // ids, the last used first

export const chosenModel = () => ({ id: button.dataset.id, name: element("model-name").textContent });

// Resolves when there are models. A visitor who never chose gets the first one on offer.
export async function loadModels() {
  if (models.length > 0) return;
  const response = await request(chat.modelsUrl);
  const offer = await response.json();
  ({ models, recent } = offer);
  if (!button.dataset.id) show(models.find(({ id }) => id === offer.first));
}

export async function openPicker() {
  search.value = "";
  dialog.showModal();
  filter();
  try {
    await loadModels();
  } catch (error) {
    dialog.close();
    throw error;
  }
  filter();
}

function show({ id, name }) {
  button.dataset.id = id;
  element("model-name").textContent = name.replace(/^.*?: /, "");
}

function choose({ dataset: { id } }) {
  show(models.find((model) => model.id === id));
  recent = [id, ...recent.filter((other) => other !== id)];
  dialog.close();
  announce(`Model: ${chosenModel().name}`);
  // The model belongs to the conversation. If it cannot be saved now, the next question does that.
  request(chat.chooseUrl, { model: id, conversation: chat.conversation || null }).catch(() => {});
}

const options = () => [...list.querySelectorAll(".model")];

function filter() {
  const offered = models.filter(({ free }) => free || !freeOnly.checked);
  const found = find(search.value, offered, ({ id, name }) => [name, id]);
  const first = recent.flatMap((id) => found.filter((model) => model.id === id));
  const others = found.filter((model) => !first.includes(model));
  [first, others].forEach((group, index) => list.children[index].replaceChildren(...group.map(optionOf)));
  element("found").textContent = foundWords(found.length);
  const chosen = list.querySelector("[aria-selected='true']");
  activate((search.value ? null : chosen) ?? options()[0], "center");
}

function foundWords(count) {
  if (models.length === 0) return "Loading the models…";
  if (count === 0) return "No model matches.";
  return count === 1 ? "1 model." : `${count} models.`;
}

function optionOf({ id, name, price, context, free }) {
  const option = copyOf("model-template");
  option.id = `model-${id}`;
  option.dataset.id = id;
  option.querySelector(".model-name").textContent = name;
  option.querySelector(".badge").hidden = !free;
  option.querySelector(".model-facts").textContent = [price, context && `${context} context`, id].filter(Boolean).join(" · ");
  option.ariaSelected = id === button.dataset.id;
  return option;
}

function activate(option, block = "nearest") {
  list.querySelector(".active")?.classList.remove("active");
  option?.classList.add("active");
  option?.scrollIntoView({ block });
  search.setAttribute("aria-activedescendant", option?.id ?? "");
}

search.addEventListener("input", filter);
freeOnly.addEventListener("change", filter);
list.addEventListener("click", ({ target }) => {
  const option = target.closest(".model");
  if (option) choose(option);
});
search.addEventListener("keydown", (event) => {
  const active = list.querySelector(".active");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) activate(options()[options().indexOf(active) + step] ?? active);
  else if (event.key === "Enter" && active) choose(active);
  else return;
  event.preventDefault();
});
