// The history: filters that stand in the address, live on its first page, and what is done to many.

import { html, useEffect, useState } from "./preact.js";
import { post, path, query } from "./api.js";
import { t } from "./words.js";
import { useAnswer, useChanges } from "./live.js";
import { Empty, Fault, Field, Pager, Select, act, confirm, tell } from "./ui.js";
import { TaskTable, isFinal } from "./tasktable.js";
import { go } from "./route.js";

const LIVE = "queued,assigned,running,waiting";
const FAILED = "failed,timed_out";
const STATES = ["", LIVE, FAILED, "queued", "assigned", "running", "waiting", "completed", "failed", "timed_out", "cancelled"];
const ORIGINS = ["", "scrape", "run", "task", "batch", "retry", "schedule"];
const SPANS = { "": null, "1h": 3600, "24h": 86400, "7d": 7 * 86400 };
const LIMIT = 50;

const stateName = (state) => t(state === "" ? "tasks.any" : state === LIVE ? "tasks.live" : state === FAILED ? "tasks.failed" : `state.${state}`);

// To the minute: an address that changed with each look would never be answered from what is there.
const since = (span) => (SPANS[span] ? new Date((Math.floor(Date.now() / 60000) - SPANS[span] / 60) * 60000).toISOString() : "");

function Filters({ values, scripts }) {
  const [script, set] = useState(values.script || "");
  useEffect(() => set(values.script || ""), [values.script]);
  const change = (more) => go("/tasks", { ...values, ...more });
  const states = STATES.includes(values.status || "") ? STATES : [...STATES, values.status];
  return html`<form class="filters" role="search" onSubmit=${(event) => { event.preventDefault(); change({ script }); }}>
    <${Field} label=${t("task.state")} name="state"><${Select} id="state" value=${values.status || ""} onChange=${(status) => change({ status })}
      options=${states.map((each) => [each, each.includes(",") && each !== LIVE && each !== FAILED ? each.split(",").map((one) => t(`state.${one}`)).join(", ") : stateName(each)])} /><//>
    <${Field} label=${t("task.script")} name="script">
      <input id="script" list="scripts" value=${script} placeholder=${t("tasks.any")} onInput=${(event) => set(event.target.value)} onChange=${(event) => change({ script: event.target.value })} />
      <datalist id="scripts">${scripts.map((each) => html`<option value=${each.name}></option>`)}</datalist><//>
    <${Field} label=${t("task.origin")} name="origin"><${Select} id="origin" value=${values.origin || ""} onChange=${(origin) => change({ origin })}
      options=${ORIGINS.map((each) => [each, each ? t(`origin.${each}`) : t("tasks.any")])} /><//>
    <${Field} label=${t("tasks.since")} name="since"><${Select} id="since" value=${values.since || ""} onChange=${(span) => change({ since: span })}
      options=${Object.keys(SPANS).map((each) => [each, t(each ? `span.${each}` : "tasks.ever")])} /><//>
  </form>`;
}

async function cancelMany(body, count) {
  const text = count === null ? t("tasks.cancel_all.text") : t("tasks.cancel.text", { count });
  if (!(await confirm({ title: t("tasks.cancel.title"), text, action: t("do.cancel_tasks") }))) return;
  await act(() => post("/v1/tasks/cancel", body), (found) => t("tasks.cancelled", { count: found.cancelled_count }));
}

async function retryMany(ids) {
  if (!(await confirm({ title: t("tasks.retry.title"), text: t("tasks.retry.text", { count: ids.length }), action: t("do.retry"), isDanger: false }))) return;
  let done = 0;
  let fault = null;
  for (const id of ids) {
    try {
      await post(path`/v1/tasks/${id}/retry`);
      done += 1;
    } catch (error) {
      fault = fault || error;
    }
  }
  tell(fault ? t("tasks.retried.part", { done, all: ids.length, reason: fault.message }) : t("tasks.retried", { count: done }), fault ? "bad" : "good");
}

function Bulk({ tasks, selected, clear, filter }) {
  const chosen = tasks.filter((task) => selected.has(task.request_id));
  const live = chosen.filter((task) => !isFinal(task.status)).map((task) => task.request_id);
  const ended = chosen.filter((task) => isFinal(task.status)).map((task) => task.request_id);
  const status = (filter.status || LIVE).split(",").filter((each) => LIVE.includes(each));
  const all = { status, ...(filter.script && { script: filter.script }), ...(filter.origin && { origin: filter.origin }), ...(filter.since && { since: filter.since }), limit: 10000 };
  return html`<div class="row bulk">
    <span class="muted">${t("tasks.chosen", { count: chosen.length })}</span>
    <button type="button" disabled=${!live.length} onClick=${() => cancelMany({ ids: live }, live.length).then(clear)}>${t("do.cancel")}</button>
    <button type="button" disabled=${!ended.length} onClick=${() => retryMany(ended).then(clear)}>${t("do.retry")}</button>
    <span class="fill"></span>
    <button type="button" disabled=${!status.length} onClick=${() => cancelMany(all, null)}>${t("do.cancel_fitting")}</button>
    <a class="button" download="tasks.csv" href=${`/v1/tasks/export${query({ ...filter, format: "csv" })}`}>CSV</a>
    <a class="button" download="tasks.jsonl" href=${`/v1/tasks/export${query({ ...filter, format: "jsonl" })}`}>JSONL</a>
  </div>`;
}

export function Tasks({ values, can }) {
  const [selected, select] = useState(new Set());
  const turn = useChanges();
  const scripts = useAnswer("/v1/scripts");
  const filter = { status: values.status, script: values.script, origin: values.origin, since: since(values.since) };
  const { data, error, reload } = useAnswer(`/v1/tasks${query({ ...filter, limit: LIMIT, cursor: values.cursor })}`, values.cursor ? "" : turn);
  useEffect(() => select(new Set()), [values.cursor, values.status, values.script, values.origin, values.since]);
  const isFiltered = values.status || values.script || values.origin || values.since || values.cursor;
  const clear = () => { select(new Set()); reload(); };
  return html`<h1>${t("nav.tasks")}</h1>
    <${Filters} values=${{ status: values.status, script: values.script, origin: values.origin, since: values.since }} scripts=${scripts.data ? scripts.data.scripts : []} />
    <${Fault} error=${error} retry=${reload} />
    ${data && data.tasks.length > 0 && html`
      ${can.run && html`<${Bulk} tasks=${data.tasks} selected=${selected} clear=${clear} filter=${filter} />`}
      <${TaskTable} tasks=${data.tasks} can=${can} label=${t("nav.tasks")} has=${["why", "origin", "attempts"]} selected=${can.run ? selected : undefined} onSelect=${select} />`}
    ${data && data.tasks.length === 0 && (isFiltered
      ? html`<${Empty} text=${t("tasks.none_fit")}><a class="button" href="#/tasks">${t("tasks.show_all")}</a><//>`
      : html`<${Empty} text=${t("tasks.none")} command="zscrape run noop -p hello=world"><a class="button primary" href="#/scripts">${t("overview.start")}</a><//>`)}
    ${data && html`<${Pager} hasBefore=${Boolean(values.cursor)} next=${data.next_cursor} onFirst=${() => go("/tasks", { ...values, cursor: "" })} onNext=${() => go("/tasks", { ...values, cursor: data.next_cursor })} />`}`;
}
