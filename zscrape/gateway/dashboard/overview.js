// How it goes: figures of now, the last hour, what failed and why.

import { html } from "./preact.js";
import { t } from "./words.js";
import { count, duration } from "./format.js";
import { useAnswer, useChanges, useLive } from "./live.js";
import { Badge, Bar, Chart, Command, Empty, Fault, Stat } from "./ui.js";
import { FirstSteps } from "./firststeps.js";
import { WaitingBanner } from "./handoffs.js";
import { TaskTable } from "./tasktable.js";

const STARTING_S = 20; // a worker that starts beside its gateway takes its time
const FAILED = "failed,timed_out";

function Figures({ overview }) {
  const { hour } = overview;
  const busy = overview.slot_count - overview.free_slot_count;
  return html`<dl class="stats">
    <${Stat} label=${t("overview.completed")} value=${count(hour.completed_count)} note=${t("overview.hour")} />
    <${Stat} label=${t("overview.failed")} value=${count(hour.failed_count)} note=${t("overview.hour")} tone=${hour.failed_count ? "bad" : ""} href="#/tasks?status=failed,timed_out" />
    <${Stat} label=${t("overview.running")} value=${count(overview.running_count + overview.assigned_count)} note=${t("overview.slots", { busy: count(busy), all: count(overview.slot_count) })} href="#/tasks?status=assigned,running" />
    <${Stat} label=${t("overview.queue")} value=${count(overview.queue_length)} note=${overview.queue_length ? t("overview.oldest", { age: duration(overview.oldest_queued_s) }) : ""} href="#/tasks?status=queued" />
    <${Stat} label=${t("overview.workers")} value=${count(overview.active_workers)} tone=${overview.active_workers ? "" : "bad"} href="#/workers" />
    <${Stat} label=${t("overview.latency")} value=${duration(hour.p50_s)} note=${t("overview.percentiles", { p95: duration(hour.p95_s), p99: duration(hour.p99_s) })} />
  </dl>`;
}

function Charts({ overview, theme }) {
  const { minutes } = overview.hour;
  const at = minutes.map((minute) => minute.at);
  const of = (name) => minutes.map((minute) => minute[name]);
  const whole = (value) => (Number.isInteger(value) ? count(value) : "");
  const { hour } = overview;
  return html`<div class="charts">
    <${Chart} theme=${theme} label=${t("chart.throughput")} at=${at} format=${whole} least=${1}
      words=${t("chart.throughput.words", { completed: count(hour.completed_count), failed: count(hour.failed_count) })}
      lines=${[{ label: t("overview.completed"), values: of("completed_count"), colour: "--good", isFilled: true }, { label: t("overview.failed"), values: of("failed_count"), colour: "--bad" }]} />
    <${Chart} theme=${theme} label=${t("chart.latency")} at=${at} format=${duration} least=${0.01}
      words=${hour.p50_s === null ? t("chart.latency.none") : t("chart.latency.words", { p50: duration(hour.p50_s), p95: duration(hour.p95_s), p99: duration(hour.p99_s) })}
      lines=${[{ label: "p50", values: of("p50_s"), colour: "--accent", hasGaps: true }, { label: "p95", values: of("p95_s"), colour: "--warn", hasGaps: true }, { label: "p99", values: of("p99_s"), colour: "--bad", hasGaps: true }]} />
    <${Chart} theme=${theme} label=${t("chart.queue")} at=${at} format=${whole} least=${1}
      words=${t("chart.queue.words", { queued: count(overview.queue_length), running: count(overview.running_count) })}
      lines=${[{ label: t("overview.queue"), values: of("queue_length"), colour: "--warn", isFilled: true }, { label: t("overview.running"), values: of("running_count"), colour: "--accent" }]} />
  </div>`;
}

const NoWorker = ({ can }) => html`<section class="banner" aria-label=${t("overview.workers")}>
  <p><strong>${t("overview.no_worker")}</strong></p>
  <${Command} text="zscrape token create" />
  ${can.admin && html`<a class="button" href="#/keys">${t("overview.make_token")}</a>`}
</section>`;

function WorkerList({ turn }) {
  const { data, error } = useAnswer("/v1/workers", turn);
  if (error) return html`<${Fault} error=${error} />`;
  if (!data) return null;
  return html`<ul class="plainlist">${data.workers.map((worker) => html`<li key=${worker.id}>
    <a href="#/workers">${worker.id}</a> <${Badge} tone=${worker.status === "live" ? "good" : "warn"}>${t(`state.${worker.status}`)}<//>
    <${Bar} fraction=${worker.slots ? worker.in_flight_count / worker.slots : 0} label=${t("workers.busy", { name: worker.id })} />
    <small>${worker.in_flight_count}/${worker.slots}</small>
  </li>`)}</ul>`;
}

export function Overview({ can, theme }) {
  const { overview } = useLive();
  const turn = useChanges();
  const failed = useAnswer(`/v1/tasks?status=${FAILED}&limit=8`, overview ? overview.hour.failed_count : "");
  const recent = useAnswer("/v1/tasks?limit=10", turn);
  const hasNone = recent.data && recent.data.tasks.length === 0;
  return html`<h1>${t("nav.overview")}</h1>
    ${overview && html`
      ${overview.status === "draining" && html`<div class="banner">${t("overview.draining")}</div>`}
      ${overview.active_workers === 0 && overview.uptime_s > STARTING_S && html`<${NoWorker} can=${can} />`}
      <${WaitingBanner} turn=${turn} />`}
    ${recent.data && failed.data && html`<${FirstSteps} recent=${recent.data} failed=${failed.data.tasks} can=${can}>
      ${hasNone && html`<${Empty} text=${t("overview.nothing")} command="zscrape run noop -p hello=world"><a class="button primary" href="#/scripts">${t("overview.start")}</a><//>`}
    <//>`}
    ${overview && html`<${Figures} overview=${overview} />`}
    ${failed.error && html`<${Fault} error=${failed.error} retry=${failed.reload} />`}
    ${failed.data && failed.data.tasks.length > 0 && html`<section aria-labelledby="failed">
      <h2 id="failed">${t("overview.failures")}</h2>
      <${TaskTable} tasks=${failed.data.tasks} can=${can} label=${t("overview.failures")} has=${["why", "retry"]} />
      <p><a href="#/tasks?status=failed,timed_out">${t("overview.all_failures")}</a></p>
    </section>`}
    ${overview && html`<section aria-labelledby="hour"><h2 id="hour">${t("overview.last_hour")}</h2><${Charts} overview=${overview} theme=${theme} /></section>`}
    <div class="columns">
      ${recent.data && !hasNone && html`<section aria-labelledby="recent"><h2 id="recent">${t("overview.recent")}</h2>
        <${TaskTable} tasks=${recent.data.tasks} can=${can} label=${t("overview.recent")} has=${[]} /></section>`}
      ${can.read && html`<section aria-labelledby="workers"><h2 id="workers">${t("nav.workers")}</h2><${WorkerList} turn=${turn} /></section>`}
    </div>`;
}
