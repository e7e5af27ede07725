// Sessions with sites: how each is, which scripts may have it, who has it now; never a cookie.

import { html, useState } from "./preact.js";
import { call, path } from "./api.js";
import { t } from "./words.js";
import { count, shortId } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Empty, Fault, Field, Moment, Table, act, confirm, tell } from "./ui.js";
import { cookiesIn } from "./cookies.js";
import { Granted, globsOf } from "./secrets.js";

const NOTHING = { site: "", account: "", cookies: "", scripts: "", days: "" };
const TONES = { new: "muted", good: "good", bad: "bad", expired: "warn" };

function Setting({ told, set, reload }) {
  const [error, setError] = useState(null);
  const input = (name) => (event) => set({ ...told, [name]: event.target.value });
  const keep = async (event) => {
    event.preventDefault();
    setError(null);
    const cookies = cookiesIn(told.cookies);
    if (told.cookies.trim() && !cookies.length) return setError({ message: t("sessions.no_cookies"), code: "invalid_request" });
    try {
      await call("PUT", path`/v1/sessions/${told.site.trim()}/${told.account.trim()}`, {
        scripts: globsOf(told.scripts), ...(cookies.length && { cookies }), ...(told.days && { max_age_s: Number(told.days) * 86400 }),
      });
      tell(t("sessions.kept", { site: told.site.trim(), account: told.account.trim() }));
      set(NOTHING);
      reload();
    } catch (fault) {
      setError(fault);
    }
    return undefined;
  };
  return html`<section class="panel" aria-labelledby="setting"><h2 id="setting">${t("sessions.set")}</h2><form onSubmit=${keep} autocomplete="off">
    <div class="filters wide-fields">
      <${Field} name="site" label=${t("sites.site")}><input id="site" required value=${told.site} placeholder="shop.example.com" onInput=${input("site")} spellcheck="false" /><//>
      <${Field} name="account" label=${t("sessions.account")}><input id="account" required value=${told.account} placeholder="buyer-1" onInput=${input("account")} spellcheck="false" /><//>
      <${Field} name="sessionscripts" label=${t("secrets.scripts")} hint=${t("secrets.scripts.hint")}><input id="sessionscripts" value=${told.scripts} placeholder="shop_*" onInput=${input("scripts")} aria-describedby="sessionscripts-hint" spellcheck="false" /><//>
      <${Field} name="days" label=${t("sessions.days")}><input id="days" type="number" min="0.01" step="any" value=${told.days} placeholder=${t("keys.never")} onInput=${input("days")} /><//>
    </div>
    <${Field} name="cookies" label=${t("sessions.cookies")} hint=${t("sessions.cookies.hint")}><textarea id="cookies" rows="3" value=${told.cookies} onInput=${input("cookies")} aria-describedby="cookies-hint" spellcheck="false" autocomplete="off"></textarea><//>
    <${Fault} error=${error} /><button class="primary" type="submit">${t("sessions.keep")}</button></form></section>`;
}

export function Sessions() {
  const { data, error, reload } = useAnswer("/v1/sessions", useChanges());
  const [told, set] = useState(NOTHING);
  const edit = (session) => {
    set({ ...NOTHING, site: session.site, account: session.account, scripts: session.scripts.join(", ") });
    document.getElementById("sessionscripts").focus();
  };
  const remove = async ({ site, account }) => {
    if (!(await confirm({ title: t("sessions.remove.title"), text: t("sessions.remove.text", { site, account }), action: t("do.remove") }))) return;
    await act(() => call("DELETE", path`/v1/sessions/${site}/${account}`), t("sessions.removed", { site, account }));
    reload();
  };
  const columns = [
    { name: t("sites.site"), of: (each) => html`<code>${each.site}</code> ${each.account}`, class: "name" },
    { name: t("task.state"), of: (each) => html`<${Badge} tone=${TONES[each.status]}>${t(`session.${each.status}`)}<//> <small>${each.reason || ""}</small>` },
    { name: t("secrets.scripts"), of: (each) => html`<${Granted} scripts=${each.scripts} />` },
    { name: t("sessions.cookies"), of: (each) => count(each.cookie_count), number: true, wide: true },
    { name: t("sites.in_use"), of: (each) => (each.leases.length ? each.leases.map((lease) => html`<a href=${`#/tasks/${lease.request_id}`}><code>${shortId(lease.request_id)}</code></a> `) : "–"), wide: true },
    { name: t("keys.used"), of: (each) => html`<${Moment} at=${each.used_at} />`, wide: true },
    { name: t("keys.expires"), of: (each) => (each.expires_at ? html`<${Moment} at=${each.expires_at} />` : t("keys.never")), wide: true },
    { name: t("do.actions"), of: (each) => html`<span class="row">
      <button type="button" class="small" onClick=${() => edit(each)} aria-label=${`${t("do.change")}: ${each.site} ${each.account}`}>${t("do.change")}</button>
      <button type="button" class="small danger" onClick=${() => remove(each)} aria-label=${`${t("do.remove")}: ${each.site} ${each.account}`}>${t("do.remove")}</button></span>` },
  ];
  return html`<h1>${t("nav.sessions")}</h1><p class="muted">${t("sessions.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    <${Setting} told=${told} set=${set} reload=${reload} />
    ${data && data.sessions.length > 0 && html`<${Table} label=${t("nav.sessions")} columns=${columns} rows=${data.sessions} id=${(each) => `${each.site} ${each.account}`} />`}
    ${data && data.sessions.length === 0 && html`<${Empty} text=${t("sessions.none")} command="zscrape sessions import shop.example.com buyer-1 cookies.txt" />`}`;
}
