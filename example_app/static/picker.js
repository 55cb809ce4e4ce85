// The dialog in which a model is chosen: a search box that drives a list (ARIA: combobox).

import { element } from "./page.js";
import { find } from "./search.js";
import { fetchJson, post } from "./stream.js";

const { modelsUrl, chooseUrl } = element("chat").dataset;
const button = element("model");
const dialog = element("picker");
const search = element("search");
const freeOnly = element("free-only");
const list = element("models");
let models = [];
let recent = []; // ids, the last used first

export const chosenModel = () => ({ id: button.dataset.id, name: element("model-name").textContent });

// Resolves when a model is chosen, the first one on offer if this visitor never chose.
export async function loadModels() {
  if (models.length > 0) return;
  const answer = await fetchJson(modelsUrl);
  ({ models, recent } = answer);
  if (!chosenModel().id) show(models.find(({ id }) => id === answer.first));
}

export async function openPicker() {
  search.value = "";
  dialog.showModal();
  search.focus();
  filter();
  try {
    await loadModels();
  } catch (error) {
    dialog.close();
    throw error;
  }
  filter();
}

const options = () => [...list.querySelectorAll(".model")];

function show({ id, name }) {
  button.dataset.id = id;
  element("model-name").textContent = name.split(": ").slice(1).join(": ") || name;
}

function choose(option) {
  const model = models.find(({ id }) => id === option.dataset.id);
  show(model);
  recent = [model.id, ...recent.filter((id) => id !== model.id)];
  dialog.close();
  button.focus();
  // A choice that could not be saved is made again on the next visit; nobody need be told.
  post(chooseUrl, { model: model.id }).catch(() => {});
  button.dispatchEvent(new CustomEvent("chosen"));
}

function filter() {
  const offered = models.filter(({ free }) => free || !freeOnly.checked);
  const found = find(search.value, offered, ({ id, name }) => [name, id]);
  const first = recent.flatMap((id) => found.filter((model) => model.id === id));
  const others = found.filter((model) => !first.includes(model));
  list.replaceChildren(...[group("Recent", first), group("All others", others)].filter((node) => node.hasChildNodes()));
  options().forEach((option, index) => { option.id = `model-${index}`; });
  element("found").textContent = foundWords(found.length);
  const chosen = list.querySelector("[aria-selected='true']");
  activate((search.value ? null : chosen) ?? options()[0], "center");
}

function group(label, members) {
  const node = document.createElement("ul");
  node.role = "group";
  node.ariaLabel = label;
  node.append(...members.map(optionOf));
  return node;
}

function foundWords(count) {
  if (models.length === 0) return "Loading the models…";
  if (count === 0) return "No model matches.";
  return count === 1 ? "1 model." : `${count} models.`;
}

function optionOf({ id, name, price, context, free }) {
  const option = element("model-template").content.firstElementChild.cloneNode(true);
  option.dataset.id = id;
  option.querySelector(".model-name").textContent = name;
  option.querySelector(".badge").hidden = !free;
  option.querySelector(".model-facts").textContent = [price, context && `${context} context`, id].filter(Boolean).join(" · ");
  option.setAttribute("aria-selected", String(id === chosenModel().id));
  return option;
}

function activate(option, block = "nearest") {
  list.querySelector(".active")?.classList.remove("active");
  option?.classList.add("active");
  option?.scrollIntoView({ block });
  if (option) search.setAttribute("aria-activedescendant", option.id);
  else search.removeAttribute("aria-activedescendant");
}

search.addEventListener("input", filter);
freeOnly.addEventListener("change", filter);
list.addEventListener("click", (event) => {
  const option = event.target.closest(".model");
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
