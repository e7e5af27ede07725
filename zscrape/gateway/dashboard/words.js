// Every word that people read, in both languages; the language may change while pages are open.

let catalogue = {};
let current = "en";
const listeners = new Set();

export const kept = (name) => {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // a browser that keeps nothing
  }
};

export const keep = (name, value) => {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    return; // it holds for this page then
  }
};

const wanted = () => {
  const told = [kept("zscrape.lang"), ...(navigator.languages || [])];
  const found = told.map((each) => (each || "").slice(0, 2)).find((each) => each === "ko" || each === "en");
  return found || document.documentElement.lang || "en";
};

export async function load() {
  const answer = await fetch(new URL("words.json", import.meta.url), { credentials: "same-origin" });
  catalogue = await answer.json();
  current = wanted();
  document.documentElement.lang = current;
}

export const lang = () => current;

export function speak(name) {
  current = name;
  keep("zscrape.lang", name);
  document.documentElement.lang = name;
  listeners.forEach((listener) => listener(name));
}

export const onLanguage = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const has = (key) => key in catalogue;

/** The words for `key`, with `fields` in place of the names in braces. */
export function t(key, fields = {}) {
  const entry = catalogue[key];
  if (!entry) return key;
  return entry[current === "ko" ? 1 : 0].replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? String(fields[name]) : whole));
}

/** What a sample says of itself, in the page's language; what others have written stays as it is. */
export const sampleWords = (name, own) => (catalogue[`sample.${name}`]?.[0] === own ? t(`sample.${name}`) : own);
