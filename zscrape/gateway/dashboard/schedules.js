// Timetables: what runs when, and how it went the last times.

import { html } from "./preact.js";
import { path, post, query } from "./api.js";
import { t } from "./words.js";
import { duration, when } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Empty, Fault, Moment, Pager, STATE_TONES, Table, act } from "./ui.js";
import { go } from "./route.js";

export const TONES = { fired: "good", claimed: "info", skipped_due_to_lock: "warn", missed: "bad", failed_to_start: "bad" };

/** The last occurrences as a strip, the newest at its end; each says what became of it. */
export function Strip({ id, turn, limit = 20 }) {
  const { data } = useAnswer(path`/v1/schedules/${id}/occurrences` + query({ limit }), turn);
  if (!data) return null;
  if (!data.occurrences.length) return html`<span class="muted notyet">${t("schedules.not_yet")}</span>`;
  return html`<ol class="strip" aria-label=${t("schedules.occurrences")}>${[...data.occurrences].reverse().map((each) => {
    const became = each.status === "fired" && each.task_status ? t(`state.${each.task_status}`) : t(`occurrence.${each.status}`);
    const words = `${when(each.due_at)}: ${became}${each.message ? `. ${each.message}` : ""}`;
    const box = html`<i class=${(each.status === "fired" && STATE_TONES[each.task_status]) || TONES[each.status] || "muted"}></i><span class="hidden">${words}</span>`;
    return html`<li key=${each.due_at} title=${words}>${each.request_id ? html`<a href=${`#/tasks/${each.request_id}`}>${box}</a>` : box}</li>`;
  })}</ol>`;
}

export const timing = (schedule) => (schedule.cron ? html`<code>${schedule.cron}</code> <small class="muted">${schedule.timezone}</small>` : html`${t("schedules.every", { span: typeof schedule.interval === "number" ? duration(schedule.interval) : schedule.interval })}`);

export async function trigger(schedule) {
  const made = await act(() => post(path`/v1/schedules/${schedule.id}/trigger`), t("schedules.triggered"));
  if (made) go(`/tasks/${made.request_id}`);
}

export async function setPaused(schedule, isPaused, reload) {
  await act(() => post(path`/v1/schedules/${schedule.id}` + (isPaused ? "/pause" : "/resume")), t(isPaused ? "schedules.now_paused" : "schedules.now_resumed", { name: schedule.name }));
  reload();
}

export const Standing = ({ schedule }) => {
  if (schedule.damaged) return html`<${Badge} tone="bad">${t("schedules.damaged")}<//>`;
  return schedule.paused ? html`<${Badge} tone="warn">${t("state.paused")}<//>` : html`<${Badge} tone="good">${t("state.active")}<//>`;
};

export function Schedules({ values, can }) {
  const turn = useChanges();
  const { data, error, reload } = useAnswer(`/v1/schedules${query({ limit: 50, cursor: values.cursor })}`);
  const columns = [
    { name: t("schedules.name"), of: (each) => html`<a href=${`#/schedules/${each.id}`}>${each.name}</a> <${Standing} schedule=${each} />`, class: "name" },
    { name: t("task.script"), of: (each) => each.script_name, wide: true },
    { name: t("schedules.timing"), of: (each) => (each.damaged ? "–" : timing(each)) },
    { name: t("schedules.next"), of: (each) => html`<${Moment} at=${each.next_at} />` },
    { name: t("schedules.occurrences"), of: (each) => html`<${Strip} id=${each.id} turn=${turn} />`, wide: true },
    { name: t("do.actions"), of: (each) => html`<span class="row">
        ${can.run && html`<button type="button" class="small" onClick=${() => trigger(each)} aria-label=${`${t("schedules.trigger")}: ${each.name}`}>${t("schedules.trigger")}</button>`}
        ${can.admin && html`<button type="button" class="small" onClick=${() => setPaused(each, !each.paused, reload)} aria-label=${`${t(each.paused ? "do.resume" : "do.pause")}: ${each.name}`}>${t(each.paused ? "do.resume" : "do.pause")}</button>`}</span>` },
  ];
  return html`<div class="row"><h1 class="fill">${t("nav.schedules")}</h1>${can.admin && html`<a class="button primary" href="#/schedules/new">${t("schedules.new")}</a>`}</div>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.schedules.length > 0 && html`<${Table} label=${t("nav.schedules")} columns=${columns} rows=${data.schedules} id=${(each) => each.id} />`}
    ${data && data.schedules.length === 0 && html`<${Empty} text=${t("schedules.none")} command=${'zscrape schedules add nightly noop --cron "0 6 * * *"'} />`}
    ${data && html`<${Pager} hasBefore=${Boolean(values.cursor)} next=${data.next_cursor} onFirst=${() => go("/schedules")} onNext=${() => go("/schedules", { cursor: data.next_cursor })} />`}`;
}
