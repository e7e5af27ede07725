// What is asked of a schedule: which script, with what, and when; its next moments are shown
// before it is kept.

import { html, useEffect, useState } from "./preact.js";
import { path, post } from "./api.js";
import { t } from "./words.js";
import { whenIn } from "./format.js";
import { useAnswer } from "./live.js";
import { Fault, Field, Select } from "./ui.js";
import { Form, placed, read } from "./form.js";
import { useForm } from "./script.js";

const OVERLAPS = ["", "skip", "queue_one", "queue_all", "replace", "allow"];
const MISFIRES = ["run_last", "skip", "all"];
// What most people want; the names of their words.
const OFTEN = { quarter: "*/15 * * * *", hour: "0 * * * *", day: "0 6 * * *", workday: "0 9 * * 1-5", week: "0 9 * * 1" };
const REST_MS = 400; // what is typed is looked at once it rests

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** What stands in the fields for a schedule. */
export const toldOf = (schedule) => ({
  name: schedule.name || "",
  script: schedule.script_name,
  kind: schedule.interval ? "interval" : "cron",
  cron: schedule.cron || "0 6 * * *",
  interval: schedule.interval ? `${schedule.interval}s` : "1h",
  timezone: schedule.timezone || zone(),
  hours: (schedule.hours || []).join(", "),
  jitter: String(schedule.jitter || 0),
  overlap: schedule.overlap || "",
  misfire: schedule.misfire || "run_last",
  failures: String(schedule.pause_on_failure || 0),
  version: schedule.version || "",
});

const bodyOf = (told, parameters) => ({
  name: told.name || told.script,
  script_name: told.script,
  timezone: told.timezone,
  parameters,
  misfire: told.misfire,
  jitter: Number(told.jitter) || 0,
  pause_on_failure: Number(told.failures) || 0,
  ...(told.kind === "cron" ? { cron: told.cron } : { interval: told.interval }),
  ...(told.overlap && { overlap: told.overlap }),
  ...(told.hours.trim() && { hours: told.hours.split(",").map((each) => each.trim()).filter(Boolean) }),
  ...(told.version && { version: told.version }),
});

/** When the schedule would be due, or why it cannot be kept so; null: not known yet. */
function useNext(told, form) {
  const [next, set] = useState(null);
  const { name: _, ...asked } = told;
  useEffect(() => {
    if (!told.script || !form.isReady) return undefined;
    const timer = setTimeout(() => {
      post("/v1/schedules/preview", bodyOf(told, read(form.fields, form.texts).parameters)).then(
        (found) => set({ moments: found.next, zone: found.timezone }),
        (fault) => set({ fault }),
      );
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [JSON.stringify(asked), form.texts, form.isReady]);
  return next;
}

const Next = ({ next }) => html`<div aria-live="polite">${next && (next.fault
  ? html`<p class="wrong">${next.fault.message}</p>${(next.fault.problems || []).map((each) => html`<p class="wrong"><code>${each.pointer}</code> ${each.reason}</p>`)}`
  : html`<h3>${t("schedules.next")}</h3><ol class="moments">${next.moments.map((each) => html`<li>${whenIn(each, next.zone)}</li>`)}</ol>`)}</div>`;

function Timing({ told, set, next }) {
  const input = (name) => (event) => set({ [name]: event.target.value });
  return html`<fieldset><legend>${t("schedules.timing")}</legend>
    <div class="row">${Object.entries(OFTEN).map(([name, cron]) => html`<button type="button" class="small" aria-pressed=${told.kind === "cron" && told.cron === cron ? "true" : "false"} onClick=${() => set({ kind: "cron", cron })}>${t(`often.${name}`)}</button>`)}</div>
    <div class="row">${["cron", "interval"].map((kind) => html`<label class="check"><input type="radio" name="kind" value=${kind} checked=${told.kind === kind} onChange=${() => set({ kind })} /> ${t(`schedules.${kind}`)}</label>`)}</div>
    ${told.kind === "cron"
      ? html`<${Field} name="cron" label=${t("schedules.cron.label")} hint=${t("schedules.cron.hint")}><input id="cron" value=${told.cron} onInput=${input("cron")} aria-describedby="cron-hint" spellcheck="false" /><//>`
      : html`<${Field} name="interval" label=${t("schedules.interval.label")} hint=${t("schedules.interval.hint")}><input id="interval" value=${told.interval} onInput=${input("interval")} aria-describedby="interval-hint" spellcheck="false" /><//>`}
    <${Field} name="timezone" label=${t("schedules.timezone")}><input id="timezone" value=${told.timezone} onInput=${input("timezone")} spellcheck="false" /><//>
    <${Next} next=${next} />
  </fieldset>`;
}

function More({ told, set }) {
  const input = (name) => (event) => set({ [name]: event.target.value });
  return html`<details><summary>${t("script.more")}</summary>
    <${Field} name="overlap" label=${t("schedules.overlap")}><${Select} id="overlap" value=${told.overlap} onChange=${(overlap) => set({ overlap })} options=${OVERLAPS.map((each) => [each, t(`overlap.${each || "standard"}`)])} /><//>
    <${Field} name="misfire" label=${t("schedules.misfire")}><${Select} id="misfire" value=${told.misfire} onChange=${(misfire) => set({ misfire })} options=${MISFIRES.map((each) => [each, t(`misfire.${each}`)])} /><//>
    <${Field} name="failures" label=${t("schedules.pause_after")} hint=${t("schedules.pause_after.hint")}><input id="failures" type="number" min="0" max="1000" value=${told.failures} onInput=${input("failures")} aria-describedby="failures-hint" /><//>
    <${Field} name="hours" label=${t("schedules.hours")} hint=${t("schedules.hours.hint")}><input id="hours" value=${told.hours} placeholder="09:00-18:00" onInput=${input("hours")} aria-describedby="hours-hint" spellcheck="false" /><//>
    <${Field} name="jitter" label=${t("schedules.jitter")} hint=${t("schedules.jitter.hint")}><input id="jitter" type="number" min="0" step="any" value=${told.jitter} onInput=${input("jitter")} aria-describedby="jitter-hint" /><//>
    <${Field} name="version" label=${t("scripts.version")} hint=${t("schedules.version.hint")}><input id="version" value=${told.version} placeholder="^1.2" onInput=${input("version")} aria-describedby="version-hint" spellcheck="false" /><//>
  </details>`;
}

/** The form; `keep` gets the body of the call, and its refusal is shown here. */
export function ScheduleForm({ first, given, from, action, keep }) {
  const scripts = useAnswer("/v1/scripts");
  const [told, tell] = useState(first);
  const set = (more) => tell((before) => ({ ...before, ...more }));
  const shown = useAnswer(told.script ? path`/v1/scripts/${told.script}` : null);
  const isRight = shown.data && shown.data.name === told.script;
  const own = told.script === first.script ? given : undefined; // another script takes other things
  const form = useForm(isRight ? shown.data.parameters : null, { name: told.script, from, given: own });
  const next = useNext(told, form);
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setError(null);
    const { parameters, wrong } = read(form.fields, form.texts);
    form.setWrong(wrong);
    if (Object.keys(wrong).length) return document.getElementById(`p-${Object.keys(wrong)[0]}`).focus();
    try {
      await keep(bodyOf(told, parameters));
    } catch (fault) {
      setError(fault);
      form.setWrong(placed((fault.problems || []).filter((each) => each.pointer.startsWith("/parameters")), "/parameters"));
    }
    return undefined;
  };
  const names = scripts.data ? scripts.data.scripts.map((each) => each.name) : [told.script].filter(Boolean);
  return html`<form onSubmit=${submit} class="panel narrow" novalidate>
    <${Field} name="script" label=${t("task.script")} isNeeded=${true}><${Select} id="script" value=${told.script} onChange=${(script) => set({ script })} options=${[["", t("form.choose")], ...names.map((name) => [name, name])]} /><//>
    <${Field} name="name" label=${t("schedules.name")} hint=${t("schedules.name.hint")}><input id="name" value=${told.name} placeholder=${told.script} onInput=${(event) => set({ name: event.target.value })} aria-describedby="name-hint" /><//>
    <${Timing} told=${told} set=${set} next=${next} />
    ${told.script && html`<h2>${t("task.parameters")}</h2><${Fault} error=${shown.error} /><${Form} fields=${form.fields} texts=${form.texts} set=${form.set} wrong=${form.wrong} />`}
    <${More} told=${told} set=${set} />
    <${Fault} error=${error} />
    <button class="primary" type="submit" disabled=${!told.script}>${action}</button>
  </form>`;
}
