// The log of a task: it follows its end while somebody looks at that, and stays where one reads.

import { html, useState } from "./preact.js";
import { path } from "./api.js";
import { t } from "./words.js";
import { brief, clock, count } from "./format.js";
import { isFinal } from "./tasktable.js";
import { useEnd } from "./ui.js";

const STANDING = new Set(["id", "at", "attempt", "level", "message", "source", "stream", "logger", "fields"]);

const extras = (line) => {
  const found = { ...(line.fields || {}) };
  Object.entries(line).forEach(([name, value]) => { if (!STANDING.has(name)) found[name] = value; });
  return Object.entries(found).map(([name, value]) => `${name}=${brief(value, 120)}`).join(" ");
};

export function Log({ task, lines, isLive }) {
  const box = useEnd();
  const [level, set] = useState("");
  const shown = level ? lines.filter((line) => ["warning", "error", "critical"].includes(line.level)) : lines;
  return html`<section aria-labelledby="log">
    <div class="row"><h2 id="log" class="fill">${t("task.log")} <span class="muted">${count(lines.length)}</span></h2>
      <label class="check"><input type="checkbox" checked=${level === "warning"} onChange=${(event) => set(event.target.checked ? "warning" : "")} /> ${t("log.warnings")}</label>
      <a class="button small" download=${`${task.request_id}.log.jsonl`} href=${path`/v1/tasks/${task.request_id}/logs`}>${t("do.download")}</a>
    </div>
    ${task.dropped_count > 0 && html`<p class="muted">${t("log.dropped", { count: count(task.dropped_count) })}</p>`}
    ${shown.length
      ? html`<div class="log" role="log" aria-label=${t("task.log")} aria-live="off" tabindex="0" ...${box}>
          ${shown.map((line) => html`<div class=${`line ${line.level || ""}`}><time>${clock(line.at)}</time><span class="level">${line.level || ""}</span><span>${line.message ?? brief(line.value)} <span class="muted">${extras(line)}</span></span></div>`)}
        </div>`
      : html`<p class="muted">${isFinal(task.status) ? t("log.nothing") : t(isLive ? "log.waits" : "log.nothing")}</p>`}
  </section>`;
}
