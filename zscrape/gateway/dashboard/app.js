// The frame: who is signed in, which page is open, the language and the theme.

import { html, render, useEffect, useMemo, useRef, useState } from "./preact.js";
import { get, onSignedOut, post } from "./api.js";
import { keep, lang, load, onLanguage, speak, t } from "./words.js";
import { useLive } from "./live.js";
import { Asking, Fault, Telling } from "./ui.js";
import { SignIn } from "./signin.js";
import { PAGES, find } from "./pages.js";

const THEMES = ["system", "light", "dark"];
const SCHEME = matchMedia("(prefers-color-scheme: dark)");

function useRoute() {
  const read = () => location.hash.replace(/^#/, "") || "/";
  const [route, set] = useState(read);
  useEffect(() => {
    const listener = () => set(read());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  return route;
}

function useTheme() {
  const [theme, set] = useState(document.documentElement.dataset.theme || "system");
  const [isDark, setDark] = useState(SCHEME.matches);
  useEffect(() => {
    const listener = () => setDark(SCHEME.matches);
    SCHEME.addEventListener("change", listener);
    return () => SCHEME.removeEventListener("change", listener);
  }, []);
  const choose = (name) => {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    keep("zscrape.theme", name === "system" ? null : name);
    set(name);
  };
  return [theme, choose, theme === "system" ? (isDark ? "dark" : "light") : theme];
}

const may = (me, page) => me.scopes.includes("admin") || page.scopes.some((scope) => me.scopes.includes(scope));

function Navigation({ me, active, isOpen }) {
  return html`<nav id="pages" class=${isOpen ? "open" : ""} aria-label=${t("nav.label")}><ul>
    ${PAGES.filter((page) => page.isListed !== false && may(me, page)).map((page) => html`<li key=${page.name}>
      <a href=${`#${page.path}`} aria-current=${page.name === active ? "page" : null}>${t(`nav.${page.name}`)}</a>
    </li>`)}
  </ul></nav>`;
}

function Link() {
  const { state } = useLive();
  const word = state === "open" ? "live" : "waiting";
  return html`<span class=${`link ${word}`} role="status"><i></i><span class="word">${t(`link.${word}`)}</span></span>`;
}

function Switches({ theme, choose }) {
  const other = lang() === "ko" ? "en" : "ko";
  return html`
    <button type="button" class="plain" lang=${other} onClick=${() => speak(other)}>${other === "ko" ? "한국어" : "English"}</button>
    <button type="button" class="plain" onClick=${() => choose(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])}>${t(`theme.${theme}`)}</button>`;
}

function Frame({ me, theme, choose, shown }) {
  const route = useRoute();
  const { page, parameters, values } = useMemo(() => find(route), [route]);
  const title = t(`nav.${page.name}`);
  useEffect(() => {
    document.title = `${title} · zscrape`;
  }, [title]);
  const isFirst = useRef(true);
  useEffect(() => {
    // Who reads with their ears hears that the page has changed; at first the menu comes first.
    const main = document.getElementById("main");
    if (main && !isFirst.current) main.focus({ preventScroll: true });
    isFirst.current = false;
    scrollTo(0, 0);
  }, [page.name, parameters.id]);
  const can = useMemo(() => ({
    run: may(me, { scopes: ["run"] }),
    read: may(me, { scopes: ["read"] }),
    admin: may(me, { scopes: [] }),
  }), [me]);
  const signOut = async () => {
    await post("/logout", undefined, { as: "response" });
    location.reload();
  };
  const Page = page.component;
  const [isOpen, open] = useState(false); // the menu, where it does not stand beside the page
  useEffect(() => open(false), [route]);
  useEffect(() => {
    if (!isOpen) return undefined;
    const onKeyDown = (event) => {
      if (event.key !== "Escape") return;
      open(false);
      document.getElementById("menu").focus();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [isOpen]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>${t("nav.skip")}</a>
    <header>
      <a class="brand" href="#/"><img src=${new URL("icon.svg", import.meta.url).href} alt="" width="24" height="24" />zscrape</a>
      <${Link} />
      <span class="fill"></span>
      <button type="button" id="menu" aria-expanded=${isOpen ? "true" : "false"} aria-controls="pages" onClick=${() => open(!isOpen)}><i aria-hidden="true"></i>${t("nav.menu")}</button>
      <div class=${`tools ${isOpen ? "open" : ""}`}>
        <span class="who" title=${me.scopes.join(" ")}>${me.name || me.id}</span>
        <${Switches} theme=${theme} choose=${choose} />
        <button type="button" class="plain" onClick=${signOut}>${t("session.out")}</button>
      </div>
    </header>
    <div class="frame">
      <${Navigation} me=${me} active=${page.listedAs || page.name} isOpen=${isOpen} />
      <main id="main" tabindex="-1">
        ${may(me, page)
          ? html`<${Page} key=${route.split("?")[0]} ...${parameters} values=${values} can=${can} theme=${shown} />`
          : html`<h1>${title}</h1><${Fault} error=${{ message: t("error.scope", { scope: page.scopes.join(", ") || "admin" }), code: "forbidden" }} />`}
      </main>
    </div>
    <footer><span>zscrape ${document.body.dataset.version}</span> <a href="/docs">API</a></footer>`;
}

function App() {
  const [, turn] = useState("");
  const [me, setMe] = useState(undefined); // null: nobody; undefined: not known yet
  const [error, setError] = useState(null);
  const [theme, choose, shown] = useTheme();
  useEffect(() => onLanguage(turn), []);
  useEffect(() => onSignedOut(() => setMe(null)), []);
  const ask = () => {
    setError(null);
    get("/v1/me").then(setMe, (found) => { if (found.status !== 401) setError(found); });
  };
  useEffect(ask, []);
  let content = null;
  if (error) content = html`<main id="main" class="alone"><h1>zscrape</h1><${Fault} error=${error} retry=${ask} /></main>`;
  else if (me === null) content = html`<${SignIn}><${Switches} theme=${theme} choose=${choose} /><//>`;
  else if (me) content = html`<${Frame} me=${me} theme=${theme} choose=${choose} shown=${shown} />`;
  return html`${content}<${Asking} /><${Telling} />`;
}

await load();
render(html`<${App} />`, document.getElementById("app"));
