// Small things that all parts of the page need.
import { choose, speaker } from "./strings.js";

export const language = choose(new URLSearchParams(location.search).get("lang"), navigator.languages ?? [navigator.language]);
export const t = speaker(language);
export const $ = id => document.getElementById(id);

// translate gives every element the words that its data names.
export function translate() {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const e of document.querySelectorAll("[data-text]")) e.textContent = t(e.dataset.text);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", t(e.dataset.label));
  for (const e of document.querySelectorAll("[data-title]")) name(e, t(e.dataset.title));
}

// name is what a control without visible words is called, and its tooltip.
export function name(e, words) {
  e.title = words;
  e.setAttribute("aria-label", words);
}

// say writes text, once: what is written anew is read out anew.
export function say(e, words) {
  if (e.textContent !== words) e.textContent = words;
}

const NOTED = 5_000; // ms
let noted = 0;

// note shows a line for a moment.
export function note(words) {
  clearTimeout(noted);
  const e = $("note");
  e.textContent = words;
  e.classList.add("shown");
  noted = setTimeout(() => e.classList.remove("shown"), NOTED);
}

// unnoted takes the line away: what it says is over.
export function unnoted() {
  clearTimeout(noted);
  $("note").classList.remove("shown");
}

// kept is a choice that the browser keeps, if it keeps anything.
export const kept = {
  get(key) {
    try { return localStorage.getItem("vdi-console-" + key) ?? ""; } catch { return ""; }
  },
  set(key, value) {
    try { localStorage.setItem("vdi-console-" + key, value); } catch { /* not kept: asked again */ }
  },
};
