// Keys of programs and people, and tokens by which workers join; what is secret is shown once.

import { html, useState } from "./preact.js";
import { call, path, post } from "./api.js";
import { t } from "./words.js";
import { count } from "./format.js";
import { useAnswer } from "./live.js";
import { Badge, Command, Empty, Fault, Field, Moment, State, Table, act, confirm } from "./ui.js";

const SCOPES = ["run", "read", "admin"];

const Once = ({ text, hint, close }) => html`<div class="banner good" role="status"><p><strong>${hint}</strong></p>
  <${Command} text=${text} /><button type="button" onClick=${close}>${t("do.close")}</button></div>`;

function NewKey({ reload, show }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["run", "read"]);
  const [scripts, setScripts] = useState("");
  const [days, setDays] = useState("");
  const [error, setError] = useState(null);
  const make = async (event) => {
    event.preventDefault();
    setError(null);
    const globs = scripts.split(/[\s,]+/).filter(Boolean);
    try {
      const made = await post("/v1/keys", { name, scopes, ...(globs.length && { scripts: globs }), ...(days && { expires_in: Number(days) * 86400 }) });
      show({ text: made.key, hint: t("keys.once") });
      setName("");
      reload();
    } catch (fault) {
      setError(fault);
    }
  };
  const toggle = (scope) => setScopes((before) => (before.includes(scope) ? before.filter((each) => each !== scope) : [...before, scope]));
  return html`<details class="panel"><summary>${t("keys.new")}</summary><form onSubmit=${make} class="narrow">
    <${Field} name="keyname" label=${t("keys.name")}><input id="keyname" value=${name} maxlength="200" onInput=${(event) => setName(event.target.value)} /><//>
    <fieldset><legend>${t("keys.scopes")}</legend>${SCOPES.map((scope) => html`<label class="check"><input type="checkbox" checked=${scopes.includes(scope)} onChange=${() => toggle(scope)} /> <code>${scope}</code> ${t(`scope.${scope}`)}</label>`)}</fieldset>
    <${Field} name="keyscripts" label=${t("keys.scripts")} hint=${t("keys.scripts.hint")}><input id="keyscripts" value=${scripts} onInput=${(event) => setScripts(event.target.value)} aria-describedby="keyscripts-hint" /><//>
    <${Field} name="keydays" label=${t("keys.days")}><input id="keydays" type="number" min="1" value=${days} placeholder=${t("keys.never")} onInput=${(event) => setDays(event.target.value)} /><//>
    <${Fault} error=${error} /><button class="primary" type="submit">${t("keys.make")}</button></form></details>`;
}

function ApiKeys() {
  const { data, error, reload } = useAnswer("/v1/keys");
  const [shown, show] = useState(null);
  const revoke = async (key) => {
    if (!(await confirm({ title: t("keys.revoke.title"), text: t("keys.revoke.text", { name: key.name || key.id }), action: t("do.revoke") }))) return;
    await act(() => call("DELETE", path`/v1/keys/${key.id}`), t("keys.revoked"));
    reload();
  };
  const columns = [
    { name: t("keys.name"), of: (key) => html`${key.name || key.id} <small class="muted">${key.prefix || ""}</small>`, class: "name" },
    { name: t("task.state"), of: (key) => html`<${State} of=${key.status} />` },
    { name: t("keys.scopes"), of: (key) => key.scopes.map((scope) => html`<${Badge} tone=${scope === "admin" ? "warn" : "info"}>${scope}<//> `) },
    { name: t("keys.scripts"), of: (key) => (key.scripts || []).join(", ") || t("keys.all"), wide: true },
    { name: t("keys.expires"), of: (key) => (key.expires_at ? html`<${Moment} at=${key.expires_at} />` : t("keys.never")), wide: true },
    { name: t("keys.used"), of: (key) => html`<${Moment} at=${key.last_used_at} />`, wide: true },
    { name: t("do.actions"), of: (key) => (key.status === "active" && key.id !== "admin" ? html`<button type="button" class="small danger" onClick=${() => revoke(key)} aria-label=${`${t("do.revoke")}: ${key.name || key.id}`}>${t("do.revoke")}</button>` : null) },
  ];
  return html`<section aria-labelledby="apikeys"><h2 id="apikeys">${t("keys.title")}</h2>
    ${shown && html`<${Once} ...${shown} close=${() => show(null)} />`}
    <${NewKey} reload=${reload} show=${show} />
    <${Fault} error=${error} retry=${reload} />
    ${data && html`<${Table} label=${t("keys.title")} columns=${columns} rows=${data.keys} id=${(key) => key.id} />`}</section>`;
}

function Tokens() {
  const { data, error, reload } = useAnswer("/v1/tokens");
  const [shown, show] = useState(null);
  const make = async () => {
    const made = await act(() => post("/v1/tokens", {}));
    if (!made) return;
    show({ text: made.command, hint: t(made.is_local ? "tokens.once_local" : "tokens.once") });
    reload();
  };
  const revoke = async (token) => {
    if (!(await confirm({ title: t("tokens.revoke.title"), text: t("tokens.revoke.text"), action: t("do.revoke") }))) return;
    await act(() => call("DELETE", path`/v1/tokens/${token.id}`), t("tokens.revoked"));
    reload();
  };
  const columns = [
    { name: t("tokens.id"), of: (token) => html`<code>${token.id}</code> ${token.name || ""}`, class: "name" },
    { name: t("task.state"), of: (token) => html`<${State} of=${token.status} />` },
    { name: t("tokens.uses"), of: (token) => `${count(token.used_count)} / ${token.uses === null ? "∞" : count(token.uses)}`, number: true },
    { name: t("keys.expires"), of: (token) => (token.expires_at ? html`<${Moment} at=${token.expires_at} />` : t("keys.never")) },
    { name: t("do.actions"), of: (token) => (token.status === "active" ? html`<button type="button" class="small danger" onClick=${() => revoke(token)} aria-label=${`${t("do.revoke")}: ${token.id}`}>${t("do.revoke")}</button>` : null) },
  ];
  return html`<section aria-labelledby="tokens"><div class="row"><h2 id="tokens" class="fill">${t("tokens.title")}</h2><button type="button" class="primary" onClick=${make}>${t("tokens.make")}</button></div>
    <p class="muted">${t("tokens.what")}</p>
    ${shown && html`<${Once} ...${shown} close=${() => show(null)} />`}
    <${Fault} error=${error} retry=${reload} />
    ${data && data.tokens.length > 0 && html`<${Table} label=${t("tokens.title")} columns=${columns} rows=${data.tokens} id=${(token) => token.id} />`}
    ${data && data.tokens.length === 0 && html`<${Empty} text=${t("tokens.none")} command="zscrape token create" />`}</section>`;
}

export const Keys = () => html`<h1>${t("nav.keys")}</h1><${ApiKeys} /><${Tokens} />`;
