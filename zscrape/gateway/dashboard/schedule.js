// One schedule: its next moments, and what became of those before.

import { html, useState } from "./preact.js";
import { call, path, query } from "./api.js";
import { t } from "./words.js";
import { brief, whenIn } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Fault, Moment, Pager, State, Table, act, confirm } from "./ui.js";
import { Standing, Strip, TONES, setPaused, timing, trigger } from "./schedules.js";
import { go } from "./route.js";

async function remove(schedule) {
  if (!(await confirm({ title: t("schedules.remove.title"), text: t("schedules.remove.text", { name: schedule.name }), action: t("do.remove") }))) return;
  if (await act(() => call("DELETE", path`/v1/schedules/${schedule.id}`), t("schedules.removed", { name: schedule.name }))) go("/schedules");
}

function Occurrences({ id, turn }) {
  const [cursor, set] = useState("");
  const { data, error, reload } = useAnswer(path`/v1/schedules/${id}/occurrences` + query({ limit: 25, cursor }), cursor ? "" : turn);
  const columns = [
    { name: t("schedules.due"), of: (each) => html`<${Moment} at=${each.due_at} />${each.manual && html` <${Badge}>${t("schedules.manual")}<//>`}` },
    { name: t("task.state"), of: (each) => html`<${Badge} tone=${TONES[each.status]}>${t(`occurrence.${each.status}`)}<//>` },
    { name: t("task.why"), of: (each) => each.message || "", class: "long" },
    { name: t("nav.task"), of: (each) => (each.request_id ? html`<a href=${`#/tasks/${each.request_id}`}>${each.task_status ? html`<${State} of=${each.task_status} />` : t("do.open")}</a>` : "–") },
  ];
  const shown = data && data.occurrences.some((each) => each.message) ? columns : columns.filter((each) => each.class !== "long");
  return html`<${Fault} error=${error} retry=${reload} />
    ${data && data.occurrences.length > 0 && html`<${Table} label=${t("schedules.occurrences")} columns=${shown} rows=${data.occurrences} id=${(each) => each.due_at} />
    <${Pager} hasBefore=${Boolean(cursor)} next=${data.next_cursor} onFirst=${() => set("")} onNext=${() => set(data.next_cursor)} />`}
    ${data && data.occurrences.length === 0 && html`<p class="muted">${t("schedules.not_yet")}</p>`}`;
}

function Facts({ schedule }) {
  const facts = [
    [t("task.script"), html`<a href=${`#/scripts/${encodeURIComponent(schedule.script_name)}`}>${schedule.script_name}</a>`],
    [t("schedules.timing"), timing(schedule)],
    [t("schedules.overlap"), schedule.overlap ? t(`overlap.${schedule.overlap}`) : t("overlap.standard")],
    [t("schedules.misfire"), t(`misfire.${schedule.misfire}`)],
    [t("schedules.failures"), String(schedule.failure_count)],
    [t("task.parameters"), html`<code>${brief(schedule.parameters, 500)}</code>`],
  ];
  if (schedule.pause_reason) facts.push([t("schedules.paused_by"), schedule.pause_reason]);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function Schedule({ id, can }) {
  const turn = useChanges();
  const { data: schedule, error, reload } = useAnswer(path`/v1/schedules/${id}`, turn);
  return html`<p class="crumbs"><a href="#/schedules">${t("nav.schedules")}</a></p>
    <${Fault} error=${error} retry=${reload} />
    ${schedule && html`
      <div class="row"><h1 class="fill">${schedule.name} <${Standing} schedule=${schedule} /></h1>
        <div class="row actions">
          ${can.run && html`<button type="button" class="primary" onClick=${() => trigger(schedule)}>${t("schedules.trigger")}</button>`}
          ${can.admin && html`<a class="button" href=${`#/schedules/${schedule.id}/change`}>${t("do.change")}</a><button type="button" onClick=${() => setPaused(schedule, !schedule.paused, reload)}>${t(schedule.paused ? "do.resume" : "do.pause")}</button>
            <button type="button" class="danger" onClick=${() => remove(schedule)}>${t("do.remove")}</button>`}
        </div></div>
      <${Strip} id=${schedule.id} turn=${turn} limit=${60} />
      <div class="columns">
        <section aria-labelledby="facts"><h2 id="facts">${t("task.facts")}</h2>${schedule.damaged ? t("schedules.damaged") : html`<${Facts} schedule=${schedule} />`}</section>
        <section aria-labelledby="next"><h2 id="next">${t("schedules.next")}</h2>
          ${(schedule.next || []).length ? html`<ol class="moments">${schedule.next.map((each) => html`<li>${whenIn(each, schedule.timezone)}</li>`)}</ol>` : html`<p class="muted">${t("schedules.no_next")}</p>`}</section>
      </div>
      <section aria-labelledby="occurrences"><h2 id="occurrences">${t("schedules.occurrences")}</h2><${Occurrences} id=${schedule.id} turn=${turn} /></section>`}`;
}
