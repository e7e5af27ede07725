// A new schedule: which script, with what, and when; its next moments are shown before it is kept.

import { html, useEffect, useState } from "./preact.js";
import { path, post } from "./api.js";
import { t } from "./words.js";
import { when } from "./format.js";
import { useAnswer } from "./live.js";
import { Fault, Field, Select } from "./ui.js";
import { Form, placed, read } from "./form.js";
import { useForm } from "./script.js";
import { go } from "./route.js";

const OVERLAPS = ["", "skip", "queue_one", "queue_all", "replace", "allow"];
const CRONS = ["*/15 * * * *", "0 * * * *", "0 6 * * *", "0 9 * * 1"];

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function NewSchedule({ values }) {
  const scripts = useAnswer("/v1/scripts");
  const [told, tell] = useState({ name: "", script: values.script || "", kind: "cron", cron: "0 6 * * *", interval: "1h", timezone: zone(), overlap: "" });
  const shown = useAnswer(told.script ? path`/v1/scripts/${told.script}` : null);
  const form = useForm(shown.data && shown.data.name === told.script ? shown.data.parameters : null, { name: told.script, from: values.from });
  const [next, setNext] = useState(null);
  const [error, setError] = useState(null);
  const set = (name) => (value) => tell((before) => ({ ...before, [name]: value }));
  const input = (name) => (event) => set(name)(event.target.value);
  const body = (parameters) => ({
    name: told.name || told.script, script_name: told.script, timezone: told.timezone, parameters,
    ...(told.kind === "cron" ? { cron: told.cron } : { interval: told.interval }), ...(told.overlap && { overlap: told.overlap }),
  });
  const timing = `${told.script} ${told.kind} ${told.cron} ${told.interval} ${told.timezone}`;
  useEffect(() => {
    if (!told.script) return undefined;
    // What is typed is looked at once it rests.
    const timer = setTimeout(() => {
      post("/v1/schedules/preview", body(read(form.fields, form.texts).parameters)).then(
        (found) => setNext({ moments: found.next }),
        (fault) => setNext({ fault }),
      );
    }, 400);
    return () => clearTimeout(timer);
  }, [timing, form.texts]);
  const keep = async (event) => {
    event.preventDefault();
    setError(null);
    const { parameters, wrong } = read(form.fields, form.texts);
    form.setWrong(wrong);
    if (Object.keys(wrong).length) return;
    try {
      const made = await post("/v1/schedules", body(parameters));
      go(`/schedules/${made.id}`);
    } catch (fault) {
      setError(fault);
      form.setWrong(placed((fault.problems || []).filter((each) => each.pointer.startsWith("/parameters")), "/parameters"));
    }
  };
  const names = scripts.data ? scripts.data.scripts.map((each) => each.name) : [];
  return html`<p class="crumbs"><a href="#/schedules">${t("nav.schedules")}</a></p><h1>${t("schedules.new")}</h1>
    <form onSubmit=${keep} class="panel narrow" novalidate>
      <${Field} name="script" label=${t("task.script")} isNeeded=${true}><${Select} id="script" value=${told.script} onChange=${set("script")} options=${[["", t("form.choose")], ...names.map((name) => [name, name])]} /><//>
      <${Field} name="name" label=${t("schedules.name")} hint=${t("schedules.name.hint")}><input id="name" value=${told.name} placeholder=${told.script} onInput=${input("name")} aria-describedby="name-hint" /><//>
      <fieldset><legend>${t("schedules.timing")}</legend>
        <div class="row">${["cron", "interval"].map((kind) => html`<label class="check"><input type="radio" name="kind" value=${kind} checked=${told.kind === kind} onChange=${() => set("kind")(kind)} /> ${t(`schedules.${kind}`)}</label>`)}</div>
        ${told.kind === "cron"
          ? html`<${Field} name="cron" label=${t("schedules.cron.label")} hint=${t("schedules.cron.hint")}><input id="cron" list="crons" value=${told.cron} onInput=${input("cron")} aria-describedby="cron-hint" spellcheck="false" /><datalist id="crons">${CRONS.map((each) => html`<option value=${each}></option>`)}</datalist><//>`
          : html`<${Field} name="interval" label=${t("schedules.interval.label")} hint=${t("schedules.interval.hint")}><input id="interval" value=${told.interval} onInput=${input("interval")} aria-describedby="interval-hint" /><//>`}
        <${Field} name="timezone" label=${t("schedules.timezone")}><input id="timezone" value=${told.timezone} onInput=${input("timezone")} spellcheck="false" /><//>
      </fieldset>
      <${Field} name="overlap" label=${t("schedules.overlap")}><${Select} id="overlap" value=${told.overlap} onChange=${set("overlap")} options=${OVERLAPS.map((each) => [each, t(`overlap.${each || "standard"}`)])} /><//>
      ${told.script && html`<h2>${t("task.parameters")}</h2><${Fault} error=${shown.error} /><${Form} fields=${form.fields} texts=${form.texts} set=${form.set} wrong=${form.wrong} />`}
      <div aria-live="polite">${next && (next.fault
        ? html`<p class="wrong">${next.fault.message}</p>`
        : html`<h2>${t("schedules.next")}</h2><ol class="plainlist">${next.moments.slice(0, 5).map((each) => html`<li>${when(each)}</li>`)}</ol>`)}</div>
      <${Fault} error=${error} />
      <button class="primary" type="submit" disabled=${!told.script}>${t("schedules.keep")}</button>
    </form>`;
}
