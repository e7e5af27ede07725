// Tasks whose tries are used up, until somebody retries or drops them.

import { html, useState } from "./preact.js";
import { call, post, query } from "./api.js";
import { t } from "./words.js";
import { count } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Empty, Fault, Moment, Pager, Table, act, confirm } from "./ui.js";
import { Why } from "./tasktable.js";
import { go } from "./route.js";

async function retry(body, done) {
  await act(() => post("/v1/deadletters/retry", body), (found) => t("deadletters.retried", { done: found.retried_count, failed: found.failed_count }));
  done();
}

async function drop(ids, done) {
  if (!(await confirm({ title: t("deadletters.drop.title"), text: t("deadletters.drop.text", { count: ids.length }), action: t("deadletters.drop") }))) return;
  await act(() => call("DELETE", `/v1/deadletters${query({ ids: ids.join(",") })}`), (found) => t("deadletters.dropped", { count: found.dropped_count }));
  done();
}

export function DeadLetters({ values, can }) {
  const [selected, select] = useState(new Set());
  const turn = useChanges();
  const { data, error, reload } = useAnswer(`/v1/deadletters${query({ limit: 50, cursor: values.cursor })}`, values.cursor ? "" : turn);
  const done = () => { select(new Set()); reload(); };
  const ids = data ? data.deadletters.map((task) => task.request_id).filter((id) => selected.has(id)) : [];
  const retryAll = async () => {
    if (await confirm({ title: t("deadletters.all.title"), text: t("deadletters.all.text"), action: t("deadletters.retry_all"), isDanger: false })) await retry({ all: true }, done);
  };
  const columns = [
    { name: t("task.script"), of: (task) => html`<a href=${`#/tasks/${task.request_id}`}>${task.script_name}</a> <small class="muted">${task.version || ""}</small>`, class: "name" },
    { name: t("deadletters.reason"), of: (task) => html`<${Badge} tone="bad">${t(`dropped.short.${task.dropped_reason}`)}<//>` },
    { name: t("task.why"), of: (task) => html`<${Why} task=${task} />`, class: "long" },
    { name: t("task.attempts"), of: (task) => count(task.attempts), number: true, wide: true },
    { name: t("task.finished"), of: (task) => html`<${Moment} at=${task.finished_at} />`, wide: true },
  ];
  return html`<h1>${t("nav.deadletters")}</h1><p class="muted">${t("deadletters.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.deadletters.length > 0 && html`
      <div class="row bulk">
        <span class="muted">${t("tasks.chosen", { count: ids.length })}</span>
        ${can.run && html`<button type="button" class="primary" disabled=${!ids.length} onClick=${() => retry({ ids }, done)}>${t("do.retry")}</button>`}
        ${can.admin && html`<button type="button" class="danger" disabled=${!ids.length} onClick=${() => drop(ids, done)}>${t("deadletters.drop")}</button>`}
        <span class="fill"></span>
        ${can.run && html`<button type="button" onClick=${retryAll}>${t("deadletters.retry_all")}</button>`}
      </div>
      <${Table} label=${t("nav.deadletters")} columns=${columns} rows=${data.deadletters} id=${(task) => task.request_id} selected=${can.run ? selected : undefined} onSelect=${select} />`}
    ${data && data.deadletters.length === 0 && html`<${Empty} text=${t("deadletters.none")} command="zscrape deadletters list" />`}
    ${data && html`<${Pager} hasBefore=${Boolean(values.cursor)} next=${data.next_cursor} onFirst=${() => go("/deadletters")} onNext=${() => go("/deadletters", { cursor: data.next_cursor })} />`}`;
}
