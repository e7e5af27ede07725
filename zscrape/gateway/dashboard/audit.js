// Who did what, when and from where.

import { html, useState } from "./preact.js";
import { query } from "./api.js";
import { t } from "./words.js";
import { when } from "./format.js";
import { useAnswer } from "./live.js";
import { Badge, Empty, Fault, Field, Pager, Table } from "./ui.js";
import { go } from "./route.js";

export function Audit({ values }) {
  const filter = { actor: values.actor, action: values.action };
  const [told, tell] = useState({ actor: values.actor || "", action: values.action || "" });
  const { data, error, reload } = useAnswer(`/v1/audit${query({ ...filter, limit: 50, cursor: values.cursor })}`);
  const find = (event) => {
    event.preventDefault();
    go("/audit", told);
  };
  const columns = [
    { name: t("audit.at"), of: (line) => html`<time datetime=${line.at}>${when(line.at)}</time>` },
    { name: t("audit.actor"), of: (line) => line.actor },
    { name: t("audit.action"), of: (line) => html`<code>${line.action}</code>` },
    { name: t("audit.target"), of: (line) => line.target, class: "long" },
    { name: t("audit.address"), of: (line) => line.address, wide: true },
    { name: t("audit.result"), of: (line) => html`<${Badge} tone=${line.result === "ok" ? "good" : "bad"}>${line.result}<//>` },
  ];
  return html`<div class="row"><h1 class="fill">${t("nav.audit")}</h1>
      <a class="button" download="audit.csv" href=${`/v1/audit${query({ ...filter, format: "csv" })}`}>CSV</a>
      <a class="button" download="audit.jsonl" href=${`/v1/audit${query({ ...filter, format: "jsonl" })}`}>JSONL</a></div>
    <form class="filters" role="search" onSubmit=${find}>
      <${Field} name="actor" label=${t("audit.actor")}><input id="actor" value=${told.actor} onInput=${(event) => tell({ ...told, actor: event.target.value })} /><//>
      <${Field} name="action" label=${t("audit.action")}><input id="action" value=${told.action} placeholder="keys.create" onInput=${(event) => tell({ ...told, action: event.target.value })} /><//>
      <button type="submit">${t("do.find")}</button>
    </form>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.audit.length > 0 && html`<${Table} label=${t("nav.audit")} columns=${columns} rows=${data.audit} id=${(line) => `${line.at} ${line.request_id} ${line.action}`} />`}
    ${data && data.audit.length === 0 && html`<${Empty} text=${t("audit.none")} command="zscrape audit list" />`}
    ${data && html`<${Pager} hasBefore=${Boolean(values.cursor)} next=${data.next_cursor} onFirst=${() => go("/audit", filter)} onNext=${() => go("/audit", { ...filter, cursor: data.next_cursor })} />`}`;
}
