// Tasks as a table: on the overview, in the history, of a script.

import { html } from "./preact.js";
import { path, post } from "./api.js";
import { t } from "./words.js";
import { count, duration, percent, shortId } from "./format.js";
import { Bar, Moment, Name, State, Table, act } from "./ui.js";
import { go } from "./route.js";

export const isFinal = (status) => ["completed", "failed", "timed_out", "cancelled"].includes(status);

export async function retry(id) {
  const made = await act(() => post(path`/v1/tasks/${id}/retry`), (found) => t("task.retried", { id: shortId(found.request_id) }));
  if (made) go(`/tasks/${made.request_id}`);
}

const Progress = ({ task }) => (task.progress && !isFinal(task.status)
  ? html`<span class="progress"><${Bar} fraction=${task.progress.fraction} label=${t("task.progress")} /> ${percent(task.progress.fraction)}</span>`
  : null);

export const Why = ({ task }) => html`<span class="why"><code>${task.error_code}</code> ${task.error_message}</span>`;

const COLUMNS = {
  why: { name: () => t("task.why"), of: (task) => (task.error_code ? html`<${Why} task=${task} />` : null), class: "long" },
  origin: { name: () => t("task.origin"), of: (task) => t(`origin.${task.origin}`), wide: true, class: "nowrap" },
  attempts: { name: () => t("task.attempts"), of: (task) => count(task.attempts), wide: true, number: true },
  retry: {
    name: () => t("do.actions"),
    of: (task) => (isFinal(task.status) ? html`<button type="button" class="small" onClick=${() => retry(task.request_id)} aria-label=${`${t("do.retry")}: ${task.script_name}`}>${t("do.retry")}</button>` : null),
  },
};

/** `has`: which columns beside the standing ones. */
export function TaskTable({ tasks, can, label, has, ...rest }) {
  const more = has.filter((name) => name !== "retry" || can.run).map((name) => ({ ...COLUMNS[name], name: COLUMNS[name].name() }));
  const columns = [
    { name: t("task.script"), of: (task) => html`<a href=${`#/tasks/${task.request_id}`}><${Name} of=${task.script_name} /></a> <small class="muted">${task.version || ""}</small>`, class: "name" },
    { name: t("task.state"), of: (task) => html`<${State} of=${task.status} /><${Progress} task=${task} />`, wide: has.includes("retry") },
    ...more.filter((column) => column.class === "long"),
    { name: t("task.items"), of: (task) => count(task.item_count), number: true, wide: true },
    { name: t("task.duration"), of: (task) => (isFinal(task.status) ? duration(task.execution_time) : "–"), number: true, wide: true },
    { name: t("task.created"), of: (task) => html`<${Moment} at=${task.created_at} />`, wide: has.includes("why") },
    ...more.filter((column) => column.class !== "long"),
  ];
  return html`<${Table} label=${label} columns=${columns} rows=${tasks} id=${(task) => task.request_id} ...${rest} />`;
}
