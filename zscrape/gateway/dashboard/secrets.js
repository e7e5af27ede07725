// Values that scripts need and nobody sees: names, who may read them, and a way in but none out.

import { html, useState } from "./preact.js";
import { call, path, post } from "./api.js";
import { t } from "./words.js";
import { useAnswer } from "./live.js";
import { Badge, Empty, Fault, Field, Moment, Table, act, confirm, tell } from "./ui.js";

const NOTHING = { name: "", value: "", scripts: "" };

export const globsOf = (text) => text.split(/[\s,]+/).filter(Boolean);

/** Who may have it; nobody is worth a warning: it is of no use then. */
export const Granted = ({ scripts }) => (scripts.length ? html`<code>${scripts.join(", ")}</code>` : html`<${Badge} tone="warn">${t("secrets.nobody")}<//>`);

function Setting({ told, set, reload }) {
  const [error, setError] = useState(null);
  const input = (name) => (event) => set({ ...told, [name]: event.target.value });
  const keep = async (event) => {
    event.preventDefault();
    setError(null);
    try {
      await post("/v1/secrets", { name: told.name.trim(), scripts: globsOf(told.scripts), ...(told.value && { value: told.value }) });
      tell(t("secrets.kept", { name: told.name.trim() }));
      set(NOTHING);
      reload();
    } catch (fault) {
      setError(fault);
    }
  };
  return html`<section class="panel" aria-labelledby="setting"><h2 id="setting">${t("secrets.set")}</h2><form onSubmit=${keep} autocomplete="off">
    <div class="filters wide-fields">
      <${Field} name="secretname" label=${t("keys.name")}><input id="secretname" required value=${told.name} placeholder="shop.password" onInput=${input("name")} spellcheck="false" /><//>
      <${Field} name="secretvalue" label=${t("secrets.value")} hint=${t("secrets.value.hint")}><input id="secretvalue" type="password" autocomplete="new-password" value=${told.value} onInput=${input("value")} aria-describedby="secretvalue-hint" /><//>
      <${Field} name="secretscripts" label=${t("secrets.scripts")} hint=${t("secrets.scripts.hint")}><input id="secretscripts" value=${told.scripts} placeholder="shop_*" onInput=${input("scripts")} aria-describedby="secretscripts-hint" spellcheck="false" /><//>
    </div><${Fault} error=${error} /><button class="primary" type="submit">${t("secrets.keep")}</button></form></section>`;
}

export function Secrets() {
  const { data, error, reload } = useAnswer("/v1/secrets");
  const [told, set] = useState(NOTHING);
  const edit = (secret) => {
    set({ name: secret.name, value: "", scripts: secret.scripts.join(", ") });
    document.getElementById("secretscripts").focus();
  };
  const remove = async (secret) => {
    if (!(await confirm({ title: t("secrets.remove.title"), text: t("secrets.remove.text", { name: secret.name }), action: t("do.remove") }))) return;
    await act(() => call("DELETE", path`/v1/secrets/${secret.name}`), t("secrets.removed", { name: secret.name }));
    reload();
  };
  const columns = [
    { name: t("keys.name"), of: (secret) => html`<code>${secret.name}</code>`, class: "name" },
    { name: t("secrets.scripts"), of: (secret) => html`<${Granted} scripts=${secret.scripts} />` },
    { name: t("task.created"), of: (secret) => html`<${Moment} at=${secret.created_at} />`, wide: true },
    { name: t("secrets.updated"), of: (secret) => html`<${Moment} at=${secret.updated_at} />`, wide: true },
    { name: t("do.actions"), of: (secret) => html`<span class="row">
      <button type="button" class="small" onClick=${() => edit(secret)} aria-label=${`${t("do.change")}: ${secret.name}`}>${t("do.change")}</button>
      <button type="button" class="small danger" onClick=${() => remove(secret)} aria-label=${`${t("do.remove")}: ${secret.name}`}>${t("do.remove")}</button></span>` },
  ];
  return html`<h1>${t("nav.secrets")}</h1><p class="muted">${t("secrets.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    <${Setting} told=${told} set=${set} reload=${reload} />
    ${data && data.secrets.length > 0 && html`<${Table} label=${t("nav.secrets")} columns=${columns} rows=${data.secrets} id=${(secret) => secret.name} />`}
    ${data && data.secrets.length === 0 && html`<${Empty} text=${t("secrets.none")} command='zscrape secrets set shop.password --script "shop_*"' />`}`;
}
