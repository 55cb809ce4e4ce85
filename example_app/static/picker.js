// The dialog in which a model is chosen: a search box that drives a list (ARIA: combobox).

import { element } from "./page.js";
import { fetchJson, post } from "./stream.js";

const { modelsUrl, chooseUrl } = element("chat").dataset;
const button = element("model");
const dialog = element("picker");
const search = element("search");
const freeOnly = element("free-only");
const list = element("models");
let models = [];

export const chosenModel = () => ({ id: button.dataset.id, name: element("model-name").textContent });

// Resolves when a model is chosen, the first one on offer if this visitor never chose.
export async function loadModels() {
  if (models.length > 0) return;
  const answer = await fetchJson(modelsUrl);
  models = answer.models;
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

function show({ id, name }) {
  button.dataset.id = id;
  element("model-name").textContent = name.split(": ").slice(1).join(": ") || name;
}

function choose(option) {
  const model = models.find(({ id }) => id === option.dataset.id);
  show(model);
  dialog.close();
  button.focus();
  // A choice that could not be saved is made again on the next visit; nobody need be told.
  post(chooseUrl, { model: model.id }).catch(() => {});
  button.dispatchEvent(new CustomEvent("chosen"));
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/);
  const found = models.filter(({ id, name, free }) => {
    const text = `${name} ${id}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (free || !freeOnly.checked);
  });
  list.replaceChildren(...found.map(optionOf));
  element("found").textContent = foundWords(found.length);
  const chosen = list.querySelector("[aria-selected='true']");
  activate((search.value ? null : chosen) ?? list.firstElementChild);
}

function foundWords(count) {
  if (models.length === 0) return "Loading the models…";
  if (count === 0) return "No model matches.";
  return count === 1 ? "1 model." : `${count} models.`;
}

function optionOf({ id, name, price, context, free }, index) {
  const option = element("model-template").content.firstElementChild.cloneNode(true);
  option.id = `model-${index}`;
  option.dataset.id = id;
  option.querySelector(".model-name").textContent = name;
  option.querySelector(".badge").hidden = !free;
  option.querySelector(".model-facts").textContent = [price, context && `${context} context`, id].filter(Boolean).join(" · ");
  option.setAttribute("aria-selected", String(id === chosenModel().id));
  return option;
}

function activate(option) {
  list.querySelector(".active")?.classList.remove("active");
  option?.classList.add("active");
  option?.scrollIntoView({ block: "nearest" });
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
  const moves = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" };
  if (event.key in moves) activate(active?.[moves[event.key]] ?? active);
  else if (event.key === "Enter" && active) choose(active);
  else return;
  event.preventDefault();
});
