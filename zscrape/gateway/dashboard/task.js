// One task: how it goes, why it failed and what to press, what it has brought.

import { html, useEffect, useState } from "./preact.js";
import { path, post } from "./api.js";
import { has, t } from "./words.js";
import { brief, count, duration, percent, shortId } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Bar, Command, Fault, Moment, State, act, confirm } from "./ui.js";
import { isFinal, retry } from "./tasktable.js";
import { useTaskStream } from "./taskstream.js";
import { StepsLink } from "./firststeps.js";
import { Items } from "./items.js";
import { Artifacts } from "./artifacts.js";
import { TaskQuestions } from "./handoffs.js";
import { Log } from "./log.js";

async function cancel(id, name, reload) {
  if (!(await confirm({ title: t("task.cancel.title"), text: t("task.cancel.text", { name }), action: t("do.cancel_task") }))) return;
  await act(() => post(path`/v1/tasks/${id}/cancel`), t("task.cancelled"));
  reload();
}

function Actions({ task, can, reload }) {
  if (!can.run) return null;
  const again = `#/scripts/${encodeURIComponent(task.script_name)}?${new URLSearchParams({ ...(task.version && { version: task.version }), from: task.request_id })}`;
  return html`<div class="row actions">
    ${!isFinal(task.status) && html`<button type="button" class="danger" onClick=${() => cancel(task.request_id, task.script_name, reload)}>${t("do.cancel_task")}</button>`}
    ${isFinal(task.status) && html`<button type="button" class="primary" onClick=${() => retry(task.request_id)}>${t(task.status === "completed" ? "do.run_again" : "do.retry")}</button>`}
    <a class="button" href=${again}>${t("do.run_changed")}</a>
    ${can.admin && html`<a class="button" href=${`#/schedules/new?${new URLSearchParams({ script: task.script_name, from: task.request_id })}`}>${t("do.schedule")}</a>`}
  </div>`;
}

/** Why it did not end well: the words, the next step, and the script's own lines. */
function Failure({ id, error, dropped, hasCapsule }) {
  return html`<section class="fault" aria-labelledby="failure">
    <h2 id="failure">${t("task.failure")} <code>${error.code}</code></h2>
    <p><strong>${error.message}</strong></p>
    ${has(`next.${error.code}`) && html`<p>${t("task.next_step")} ${t(`next.${error.code}`)}</p>`}
    ${dropped && html`<p>${t(`dropped.${dropped}`)} <a href="#/deadletters">${t("nav.deadletters")}</a></p>`}
    ${error.problems && error.problems.length > 0 && html`<ul>${error.problems.map((each) => html`<li><code>${each.pointer || "/"}</code> ${each.reason}</li>`)}</ul>`}
    ${error.traceback && html`<details open><summary>${t("task.traceback")}</summary><pre tabindex="0">${error.traceback}</pre></details>`}
    ${hasCapsule && html`<p><a class="button" download href=${path`/v1/tasks/${id}/capsule`}>${t("task.capsule")}</a> <span class="small">${t("task.capsule.hint")}</span></p><${Command} text=${`zscrape run --replay ${id}`} />`}
  </section>`;
}

function Progress({ task, progress }) {
  const found = progress || task.progress;
  if (!found || isFinal(task.status)) return null;
  return html`<section class="panel" aria-label=${t("task.progress")}>
    <${Bar} fraction=${found.fraction} label=${t("task.progress")} />
    <p>${percent(found.fraction)} ${found.text || ""}</p>
  </section>`;
}

function Explanation({ id, turn }) {
  const { data } = useAnswer(path`/v1/tasks/${id}/explain`, turn);
  return data ? html`<p class="explain">${data.message}</p>` : null;
}

function Facts({ task }) {
  const facts = [
    [t("task.script"), html`<a href=${`#/scripts/${encodeURIComponent(task.script_name)}`}>${task.script_name}</a> ${task.version || ""}`],
    [t("task.worker"), task.worker_id || "–"],
    [t("task.attempts"), count(task.attempts)],
    [t("task.queued_for"), duration(task.queue_time)],
    [t("task.duration"), isFinal(task.status) ? duration(task.execution_time) : "–"],
    [t("task.created"), html`<${Moment} at=${task.created_at} />`],
    [t("task.finished"), html`<${Moment} at=${task.finished_at} />`],
    [t("task.origin"), t(`origin.${task.origin}`)],
    [t("task.client"), task.client || "–"],
  ];
  if (task.lock_key) facts.push([t("task.lock"), html`<code>${task.lock_key}</code>`]);
  if (task.tags.length) facts.push([t("task.tags"), task.tags.join(", ")]);
  if (task.next_retry_at) facts.push([t("task.next_retry"), html`<${Moment} at=${task.next_retry_at} />`]);
  if (task.schedule_id) facts.push([t("task.schedule"), html`<a href=${`#/schedules/${task.schedule_id}`}>${shortId(task.schedule_id)}</a>`]);
  if (task.retry_of) facts.push([t("task.retry_of"), html`<a href=${`#/tasks/${task.retry_of}`}>${shortId(task.retry_of)}</a>`]);
  if (task.retried_as) facts.push([t("task.retried_as"), html`<a href=${`#/tasks/${task.retried_as}`}>${shortId(task.retried_as)}</a>`]);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Timeline({ states }) {
  if (!states.length) return null;
  return html`<section aria-labelledby="timeline"><h2 id="timeline">${t("task.timeline")}</h2>
    <ol class="timeline">${states.map((each) => html`<li>
      <${State} of=${each.status} />
      <span>${each.attempt ? t("task.attempt", { number: each.attempt }) : ""} ${each.worker_id || ""} ${each.code && each.code !== "ok" ? html`<code>${each.code}</code>` : ""}</span>
      <${Moment} at=${each.at} />
    </li>`)}</ol></section>`;
}

function Result({ task }) {
  if (!isFinal(task.status) || task.status !== "completed") return null;
  // A list of items is told as a table above; here stands what a script returned beside them.
  if (task.data === null || (task.item_count > 0 && Array.isArray(task.data))) return task.links && task.data === null && task.item_count === 0 ? html`<p><a href=${path`/v1/tasks/${task.request_id}/result`} download="result.json">${t("task.download_result")}</a></p>` : null;
  const shown = JSON.stringify(task.data, null, 2);
  return html`<section aria-labelledby="result"><h2 id="result">${t("task.result")}</h2>
    <pre tabindex="0">${brief(shown, 20000)}</pre>
    <p><a href=${path`/v1/tasks/${task.request_id}/result`} download="result.json">${t("task.download_result")}</a></p>
  </section>`;
}

export function Task({ id, can }) {
  const found = useTaskStream(id);
  const last = found.states.length ? found.states[found.states.length - 1] : null;
  const turn = useChanges();
  const waits = last && !isFinal(last.status) && last.status !== "running";
  const state = useAnswer(path`/v1/tasks/${id}`, `${found.states.length} ${Boolean(found.result)}`);
  const [seen, see] = useState(null);
  useEffect(() => { if (state.data) see(state.data); }, [state.data]);
  const task = seen && seen.request_id === id ? seen : null;
  if (!task) return html`<h1>${t("nav.task")}</h1><${Fault} error=${state.error} retry=${state.reload} />`;
  const isOver = isFinal(task.status);
  return html`
    <p class="crumbs"><a href="#/tasks">${t("nav.tasks")}</a> / <code>${id}</code></p>
    <div class="row"><h1 class="fill">${task.script_name} <${State} of=${task.status} /></h1><${Actions} task=${task} can=${can} reload=${state.reload} /></div>
    ${!isOver && html`<${Explanation} id=${id} turn=${`${waits ? turn : ""} ${found.states.length}`} />`}
    ${task.status === "waiting" && html`<${TaskQuestions} id=${id} can=${can} turn=${found.states.length} />`}
    <${Progress} task=${task} progress=${found.progress} />
    ${task.error && html`<${Failure} id=${id} error=${task.error} dropped=${task.dropped_reason} hasCapsule=${task.attempts > 0 && ["failed", "timed_out"].includes(task.status)} />`}
    ${!isOver && task.last_error && html`<p class="banner"><strong>${t("task.last_error")}</strong> <code>${task.last_error}</code> ${task.last_error_message || ""}${task.next_retry_at && html` · ${t("task.next_retry")}: <${Moment} at=${task.next_retry_at} />`}</p>`}
    ${isOver && html`<${StepsLink} task=${task} can=${can} />`}
    ${found.isCut && html`<p class="banner">${t("task.cut")}</p>`}
    <${Items} task=${task} live=${found.items} liveCount=${found.itemCount} isOver=${isOver} />
    <${Result} task=${task} />
    <${Artifacts} task=${task} />
    <${Log} task=${task} lines=${found.lines} isLive=${found.isLive && !isOver} />
    <div class="columns">
      <section aria-labelledby="facts"><h2 id="facts">${t("task.facts")}</h2><${Facts} task=${task} /></section>
      <${Timeline} states=${found.states} />
    </div>
    <section aria-labelledby="parameters"><h2 id="parameters">${t("task.parameters")}</h2><pre tabindex="0">${brief(JSON.stringify(task.parameters, null, 2), 20000)}</pre></section>`;
}
