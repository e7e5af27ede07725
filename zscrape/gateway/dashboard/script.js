// One script: its form, drawn from what it takes, its versions and channels.

import { html, useEffect, useMemo, useState } from "./preact.js";
import { call, path, post, query } from "./api.js";
import { sampleWords, t } from "./words.js";
import { bytes, duration } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Fault, Field, Select, Table, act, confirm } from "./ui.js";
import { Form, fieldsOf, placed, read, textsOf } from "./form.js";
import { TaskTable } from "./tasktable.js";
import { go } from "./route.js";

const NOTHING = {};

/** The form of a script's parameters, filled with those of an earlier task, or with `given`. */
export function useForm(schema, { name = "", from, given = NOTHING }) {
  const fields = useMemo(() => (schema ? fieldsOf(schema, name) : []), [schema, name]);
  const before = useAnswer(from ? path`/v1/tasks/${from}` : null);
  const [texts, set] = useState(null);
  const [wrong, setWrong] = useState({});
  useEffect(() => {
    set(textsOf(fields, before.data ? before.data.parameters : given));
    setWrong({});
  }, [fields, before.data, JSON.stringify(given)]);
  const isReady = Boolean(schema && texts && (!from || before.data || before.error));
  return { fields, texts: texts || NOTHING, set, wrong, setWrong, isReady };
}

const parsed = (value) => {
  try {
    return JSON.parse(value);
  } catch {
    return value; // a text without its quotes
  }
};

/** Parameters that stand in the address, as `p.NAME=VALUE`. */
const givenIn = (values) => Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith("p.")).map(([name, value]) => [name.slice(2), parsed(value)]));

function Run({ script, version, values }) {
  const form = useForm(script.parameters, { name: script.name, from: values.from, given: givenIn(values) });
  const [timeout, limit] = useState("");
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const run = async (event) => {
    event.preventDefault();
    setError(null);
    const { parameters, wrong } = read(form.fields, form.texts);
    form.setWrong(wrong);
    const first = Object.keys(wrong)[0];
    if (first) return document.getElementById(`p-${first}`).focus();
    setBusy(true);
    try {
      const made = await post("/v1/tasks", { script_name: script.name, parameters, ...(version && { version }), ...(timeout && { timeout: Number(timeout) }) });
      go(`/tasks/${made.request_id}`);
    } catch (found) {
      setError(found);
      form.setWrong(placed(found.problems || [], "/parameters"));
    }
    return setBusy(false);
  };
  return html`<form onSubmit=${run} novalidate>
    <${Form} fields=${form.fields} texts=${form.texts} set=${form.set} wrong=${form.wrong} />
    <details><summary>${t("script.more")}</summary><${Field} name="timeout" label=${t("script.timeout")} hint=${t("script.timeout.hint", { standard: duration(script.timeout) })}>
      <input id="timeout" type="number" min="0.1" step="any" value=${timeout} onInput=${(event) => limit(event.target.value)} /><//></details>
    <${Fault} error=${error} />
    <button class="primary" type="submit" disabled=${isBusy}>${t("do.run")}</button>
  </form>`;
}

function Versions({ script, can, shown, reload }) {
  const channels = Object.entries(script.channels);
  const promote = async (version) => {
    if (!(await confirm({ title: t("script.promote.title"), text: t("script.promote.text", { version }), action: t("script.promote"), isDanger: false }))) return;
    await act(() => call("PUT", path`/v1/scripts/${script.name}/channels/stable`, { version }), t("script.promoted", { version }));
    reload();
  };
  const columns = [
    { name: t("scripts.version"), of: (version) => html`<a href=${`#/scripts/${encodeURIComponent(script.name)}${query({ version })}`} aria-current=${version === shown ? "true" : null}>${version}</a>` },
    { name: t("script.channels"), of: (version) => channels.filter(([, each]) => each === version || (each && each.version === version)).map(([name]) => html`<${Badge} tone="info">${name}<//> `) },
    { name: t("script.digest"), of: (version) => html`<code class="digest">${((script.details[version] || {}).digest || "–").replace("sha256:", "").slice(0, 12)}</code>`, wide: true },
  ];
  if (can.admin) columns.push({ name: t("do.actions"), of: (version) => html`<button type="button" class="small" onClick=${() => promote(version)} aria-label=${`${t("script.promote")}: ${version}`}>${t("script.promote")}</button>` });
  return html`<section aria-labelledby="versions"><h2 id="versions">${t("script.versions")}</h2>
    <${Table} label=${t("script.versions")} columns=${columns} rows=${script.versions} id=${(version) => version} /></section>`;
}

function Facts({ script }) {
  const facts = [
    [t("scripts.repository"), script.repository],
    [t("script.entry"), html`<code>${script.entry_point}</code>`],
    [t("script.timeout"), duration(script.timeout)],
    [t("script.memory"), bytes(script.memory_limit_bytes)],
    [t("script.python"), html`<code>${script.python_version}</code>`],
    [t("script.requirements"), script.requirements.length ? script.requirements.join(", ") : "–"],
    [t("script.requires"), [...script.requires, ...script.system_requirements].join(", ") || "–"],
    [t("script.signature"), t(`signature.${script.signature.status}`)],
    [t("script.digest"), html`<code class="digest">${script.digest}</code>`],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function Script({ id, values, can }) {
  const { data: script, error, reload } = useAnswer(path`/v1/scripts/${id}` + query({ version: values.version }));
  const recent = useAnswer(`/v1/tasks${query({ script: id, limit: 8 })}`, useChanges());
  return html`<p class="crumbs"><a href="#/scripts">${t("nav.scripts")}</a> / <code>${id}</code></p>
    <${Fault} error=${error} retry=${reload} />
    ${script && html`
      <div class="row"><h1 class="fill">${script.name} <small class="muted">${script.version}</small></h1>
        ${can.admin && html`<a class="button" href=${`#/schedules/new?${new URLSearchParams({ script: script.name })}`}>${t("do.schedule")}</a>`}</div>
      <p>${sampleWords(script.name, script.description)}</p>
      ${script.warnings.map((each) => html`<p class="banner">${each.reason}</p>`)}
      <div class="columns">
        <section aria-labelledby="run" class="panel"><h2 id="run">${t("script.run")}</h2>
          ${can.run ? html`<${Run} script=${script} version=${values.version} values=${values} />` : html`<p>${t("error.scope", { scope: "run" })}</p>`}</section>
        <div>
          <${Versions} script=${script} can=${can} shown=${script.version} reload=${reload} />
          <section aria-labelledby="facts"><h2 id="facts">${t("script.facts")}</h2><${Facts} script=${script} /></section>
        </div>
      </div>
      ${recent.data && recent.data.tasks.length > 0 && html`<section aria-labelledby="recent"><h2 id="recent">${t("overview.recent")}</h2><${TaskTable} tasks=${recent.data.tasks} can=${can} label=${t("overview.recent")} has=${["why"]} /></section>`}`}`;
}
