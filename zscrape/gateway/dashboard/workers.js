// Who works here: slots, what they run, how they hold scripts in, and putting one to rest.

import { html } from "./preact.js";
import { path, post } from "./api.js";
import { t } from "./words.js";
import { bytes, count, duration, shortId } from "./format.js";
import { useAnswer, useTick } from "./live.js";
import { Badge, Bar, Empty, Fault, State, act, confirm } from "./ui.js";

async function drain(worker, reload) {
  if (!(await confirm({ title: t("workers.drain.title"), text: t("workers.drain.text", { name: worker.id }), action: t("workers.drain"), isDanger: false }))) return;
  await act(() => post(path`/v1/workers/${worker.id}/drain`), t("workers.drained", { name: worker.id }));
  reload();
}

async function resume(worker, reload) {
  await act(() => post(path`/v1/workers/${worker.id}/resume`), t("workers.resumed", { name: worker.id }));
  reload();
}

function Card({ worker, can, reload }) {
  const { facts } = worker;
  return html`<article class="panel" aria-labelledby=${`w-${worker.id}`}>
    <div class="row"><h2 class="fill" id=${`w-${worker.id}`}>${worker.id} <${State} of=${worker.status} /></h2>
      ${can.admin && (worker.status === "draining"
        ? html`<button type="button" onClick=${() => resume(worker, reload)}>${t("do.resume")}</button>`
        : html`<button type="button" onClick=${() => drain(worker, reload)}>${t("workers.drain")}</button>`)}
    </div>
    <p><${Bar} fraction=${worker.slots ? worker.in_flight_count / worker.slots : 0} label=${t("workers.busy", { name: worker.id })} /> ${t("overview.slots", { busy: count(worker.in_flight_count), all: count(worker.slots) })}</p>
    ${worker.running.length > 0 && html`<p>${t("workers.running")} ${worker.running.map((each) => html`<a href=${`#/tasks/${each.request_id}`}><code>${shortId(each.request_id)}</code></a> `)}</p>`}
    <dl class="facts">
      <div><dt>${t("workers.load")}</dt><dd>CPU ${Math.round(worker.cpu_percent)}% · ${t("workers.memory")} ${Math.round(worker.memory_percent)}%</dd></div>
      <div><dt>${t("workers.machine")}</dt><dd>${facts.hostname} · ${facts.platform} · ${count(facts.cpu_count)} CPU · ${bytes(facts.memory_bytes)}</dd></div>
      <div><dt>${t("workers.software")}</dt><dd>zscrape ${facts.version} · Python ${facts.python}</dd></div>
      <div><dt>${t("workers.tags")}</dt><dd>${worker.tags.length ? worker.tags.map((tag) => html`<${Badge} tone="info">${tag}<//> `) : "–"}</dd></div>
      <div><dt>${t("workers.programs")}</dt><dd>${facts.programs.length ? facts.programs.join(", ") : "–"}</dd></div>
      <div><dt>${t("workers.isolation")}</dt><dd class="chips">${facts.isolation.length ? facts.isolation.map((layer) => html`<${Badge} tone="good">${layer}<//> `) : html`<${Badge} tone="bad">${t("workers.no_isolation")}<//>`}</dd></div>
      <div><dt>${t("workers.warm")}</dt><dd>${count(worker.warm_count)}</dd></div>
      <div><dt>${t("workers.heard")}</dt><dd>${duration(worker.last_heard_s)}</dd></div>
    </dl>
  </article>`;
}

export function Workers({ can }) {
  const { data, error, reload } = useAnswer("/v1/workers", useTick());
  return html`<div class="row"><h1 class="fill">${t("nav.workers")}</h1>${can.admin && html`<a class="button" href="#/keys">${t("workers.add")}</a>`}</div>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.workers.length === 0 && html`<${Empty} text=${t("workers.none")} command="zscrape token create" />`}
    ${data && html`<div class="cards">${data.workers.map((worker) => html`<${Card} key=${worker.id} worker=${worker} can=${can} reload=${reload} />`)}</div>`}`;
}
