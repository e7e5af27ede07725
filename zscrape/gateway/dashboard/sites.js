// How hard the cluster may hit each site, how hard it does, and how the site takes it.

import { html, useState } from "./preact.js";
import { call, path } from "./api.js";
import { t } from "./words.js";
import { count, duration, percent } from "./format.js";
import { useAnswer, useTick } from "./live.js";
import { Badge, Empty, Fault, Field, Table, act, confirm } from "./ui.js";

const NOTHING = { site: "", rate: "", concurrency: "", gap: "" };

const budget = (site) => {
  const { rate, concurrency, burst, gap } = site.budget;
  const told = [rate, concurrency && t("sites.at_once", { count: concurrency }), burst && t("sites.burst", { count: burst }), gap && t("sites.gap_of", { span: duration(gap) })].filter(Boolean);
  return told.length ? told.join(" · ") : html`<span class="muted">${t("sites.no_budget")}</span>`;
};

function Standing({ site }) {
  const told = [];
  if (site.paused_s > 0) told.push(html`<${Badge} tone="bad">${t("sites.paused", { span: duration(site.paused_s) })}<//> `);
  if (site.share < 1) told.push(html`<${Badge} tone="warn">${t("sites.slowed", { share: percent(site.share) })}<//> `);
  if (site.complaint) told.push(html`<small class="muted">${t("sites.complaint", { status: site.complaint.status, age: duration(site.complaint.age_s) })}</small>`);
  return told.length ? told : html`<${Badge} tone="good">${t("sites.well")}<//>`;
}

function Setting({ told, tell, reload }) {
  const [error, setError] = useState(null);
  const input = (name) => (event) => tell({ ...told, [name]: event.target.value });
  const keep = async (event) => {
    event.preventDefault();
    setError(null);
    try {
      await call("PUT", path`/v1/sites/${told.site.trim()}`, {
        ...(told.rate && { rate: told.rate }), ...(told.concurrency && { concurrency: Number(told.concurrency) }), ...(told.gap && { gap: Number(told.gap) }),
      });
      tell(NOTHING);
      reload();
    } catch (fault) {
      setError(fault);
    }
  };
  return html`<section class="panel" aria-labelledby="setting"><h2 id="setting">${t("sites.set")}</h2><form onSubmit=${keep}>
    <div class="filters">
      <${Field} name="site" label=${t("sites.site")}><input id="site" required value=${told.site} placeholder="example.com" onInput=${input("site")} spellcheck="false" /><//>
      <${Field} name="rate" label=${t("sites.rate")}><input id="rate" value=${told.rate} placeholder="2/s" onInput=${input("rate")} spellcheck="false" /><//>
      <${Field} name="concurrency" label=${t("sites.concurrency")}><input id="concurrency" type="number" min="1" max="1000" value=${told.concurrency} onInput=${input("concurrency")} /><//>
      <${Field} name="gap" label=${t("sites.gap")}><input id="gap" type="number" min="0.01" step="any" value=${told.gap} onInput=${input("gap")} /><//>
    </div><${Fault} error=${error} /><button class="primary" type="submit">${t("sites.keep")}</button></form></section>`;
}

export function Sites({ can }) {
  const { data, error, reload } = useAnswer("/v1/sites", useTick());
  const [told, tell] = useState(NOTHING);
  const edit = ({ site, budget: { rate, concurrency, gap } }) => {
    tell({ site, rate: rate || "", concurrency: concurrency ? String(concurrency) : "", gap: gap ? String(gap) : "" });
    document.getElementById("rate").focus();
  };
  const remove = async (site) => {
    if (!(await confirm({ title: t("sites.remove.title"), text: t("sites.remove.text", { site: site.site }), action: t("do.remove") }))) return;
    await act(() => call("DELETE", path`/v1/sites/${site.site}`), t("sites.removed", { site: site.site }));
    reload();
  };
  const columns = [
    { name: t("sites.site"), of: (site) => html`<code>${site.site}</code>`, class: "name" },
    { name: t("sites.budget"), of: (site) => html`${budget(site)} <small class="muted">${t(`sites.by.${site.source}`)}</small>` },
    { name: t("sites.standing"), of: (site) => html`<${Standing} site=${site} />` },
    { name: t("sites.in_use"), of: (site) => count(site.in_use_count), number: true, wide: true },
    { name: t("sites.waiting"), of: (site) => count(site.waiting_count), number: true, wide: true },
    { name: t("sites.named_by"), of: (site) => site.claimed_by.join(", ") || "–", wide: true },
  ];
  if (can.admin) columns.push({ name: t("do.actions"), of: (site) => html`<span class="row">
    <button type="button" class="small" onClick=${() => edit(site)} aria-label=${`${t("do.change")}: ${site.site}`}>${t("do.change")}</button>
    ${site.source === "operator" && html`<button type="button" class="small danger" onClick=${() => remove(site)} aria-label=${`${t("do.remove")}: ${site.site}`}>${t("do.remove")}</button>`}</span>` });
  return html`<h1>${t("nav.sites")}</h1><p class="muted">${t("sites.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    ${can.admin && html`<${Setting} told=${told} tell=${tell} reload=${reload} />`}
    ${data && data.sites.length > 0 && html`<${Table} label=${t("nav.sites")} columns=${columns} rows=${data.sites} id=${(site) => site.site} />`}
    ${data && data.sites.length === 0 && html`<${Empty} text=${t("sites.none")} command="zscrape sites set example.com --rate 2/s" />`}`;
}
