// What a person who is new here does first: run a script, see one fail, give it a schedule.

import { html, useState } from "./preact.js";
import { keep, kept, t } from "./words.js";
import { useAnswer } from "./live.js";
import { Badge, Command } from "./ui.js";

const SAMPLE = "practice_shop";
const NAME = "zscrape.steps";

const Step = ({ name, href, isNext, look }) => html`<li>
  <span class="mark" aria-hidden="true">${look ? "✓" : ""}</span>
  <span class="fill">${t(`start.${name}`)} <${Badge} tone=${look ? "good" : "muted"}>${t(look ? "start.done" : "start.open")}<//></span>
  <a class=${`button ${isNext ? "primary" : ""}`} href=${look || href}>${t(look ? `start.${name}.look` : `start.${name}.do`)}</a>
</li>`;

/** On a task of the sample that has ended: the way back to the next step. */
export const StepsLink = ({ task, can }) => (task.script_name === SAMPLE && can.admin && kept(NAME) !== "hidden"
  ? html`<p class="onward"><a class="button" href="#/">${t("start.back")}</a></p>`
  : null);

/** Shown until all is done or somebody hides it; `children` stand there where it does not. */
export function FirstSteps({ recent, failed, can, children }) {
  const [isHidden, hide] = useState(kept(NAME) === "hidden");
  const isNew = !isHidden && can.run && can.admin && !recent.next_cursor;
  const scripts = useAnswer(isNew ? "/v1/scripts" : null);
  const schedules = useAnswer(isNew ? "/v1/schedules?limit=1" : null);
  if (isNew && !(scripts.error || schedules.error) && !(scripts.data && schedules.data)) return null;
  const hasSample = isNew && scripts.data && scripts.data.scripts.some((script) => script.name === SAMPLE);
  if (!hasSample || !schedules.data) return children;
  const ran = recent.tasks.find((task) => task.status === "completed" && task.item_count > 0);
  const [planned] = schedules.data.schedules;
  const steps = [
    { name: "run", href: `#/scripts/${SAMPLE}`, look: ran && `#/tasks/${ran.request_id}` },
    { name: "fail", href: `#/scripts/${SAMPLE}?p.layout=rebuilt`, look: failed.length > 0 && `#/tasks/${failed[0].request_id}` },
    { name: "schedule", href: `#/schedules/new?script=${SAMPLE}`, look: planned && `#/schedules/${planned.id}` },
  ];
  const next = steps.find((step) => !step.look);
  const close = () => {
    keep(NAME, "hidden");
    hide(true);
  };
  return html`<section class="panel steps" aria-labelledby="steps">
    <div class="row"><h2 id="steps" class="fill">${t("start.title")}</h2><button type="button" class="small" onClick=${close}>${t("start.hide")}</button></div>
    <ol>${steps.map((step) => html`<${Step} key=${step.name} ...${step} isNext=${step === next} />`)}</ol>
    ${!next && html`<p>${t("start.own")}</p><${Command} text="zscrape scripts new my_script" />`}
  </section>`;
}
