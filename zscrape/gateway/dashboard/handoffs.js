// What running scripts ask people: the question, the picture with it, and a form for the answer.

import { html, useMemo, useState } from "./preact.js";
import { path, post, query } from "./api.js";
import { t } from "./words.js";
import { when } from "./format.js";
import { useAnswer, useChanges } from "./live.js";
import { Badge, Empty, Fault, Moment, Table, act, confirm } from "./ui.js";
import { Form, fieldsOf, placed, read, textsOf } from "./form.js";

const TONES = { open: "warn", answered: "good", dismissed: "muted", expired: "bad", gone: "muted" };

/** What is asked, as the schema that forms are drawn from. */
const schemaOf = (asked) => ({
  type: "object",
  additionalProperties: false,
  required: Object.keys(asked).filter((name) => asked[name].required),
  properties: Object.fromEntries(Object.entries(asked).map(([name, field]) => [name, {
    type: field.type, title: field.title, description: field.description, ...(field.secret && { format: "password" }), ...(field.enum && { enum: field.enum }),
  }])),
});

async function dismiss(handoff, done) {
  if (!(await confirm({ title: t("handoffs.dismiss.title"), text: t("handoffs.dismiss.text"), action: t("handoffs.dismiss") }))) return;
  await act(() => post(path`/v1/handoffs/${handoff.id}/dismiss`), t("handoffs.dismissed"));
  done();
}

export function Question({ handoff, can, done }) {
  const fields = useMemo(() => fieldsOf(schemaOf(handoff.fields)), [handoff.id]);
  const [texts, set] = useState(() => textsOf(fields));
  const [wrong, setWrong] = useState({});
  const [error, setError] = useState(null);
  const answer = async (event) => {
    event.preventDefault();
    setError(null);
    const found = read(fields, texts);
    setWrong(found.wrong);
    if (Object.keys(found.wrong).length) return;
    try {
      await post(path`/v1/handoffs/${handoff.id}/answer`, { answer: found.parameters });
      done();
    } catch (fault) {
      setError(fault);
      setWrong(placed(fault.problems || [], "/answer"));
    }
  };
  return html`<article class="panel asked" aria-labelledby=${`h-${handoff.id}`}>
    <div class="row"><h2 class="fill" id=${`h-${handoff.id}`}><a href=${`#/tasks/${handoff.request_id}`}>${handoff.script_name}</a> ${t("handoffs.asks")}</h2>
      <span class="muted">${t("handoffs.until", { at: when(handoff.expires_at) })}</span></div>
    <p class="prompt">${handoff.prompt}</p>
    ${handoff.image && html`<img class="picture" src=${handoff.image.link} alt=${t("handoffs.picture")} />`}
    ${can.run && html`<form onSubmit=${answer} novalidate class="narrow">
      <${Form} fields=${fields} texts=${texts} set=${set} wrong=${wrong} />
      <${Fault} error=${error} />
      <div class="row"><button class="primary" type="submit">${t("handoffs.answer")}</button>
        <button type="button" onClick=${() => dismiss(handoff, done)}>${t("handoffs.dismiss")}</button></div>
    </form>`}
  </article>`;
}

/** The open questions of a task, answered on its own page. */
export function TaskQuestions({ id, can, turn }) {
  const { data, reload } = useAnswer(`/v1/handoffs${query({ status: "open", task: id })}`, turn);
  if (!data) return null;
  return data.handoffs.map((each) => html`<${Question} key=${each.id} handoff=${each} can=${can} done=${reload} />`);
}

/** How many wait, where there is any: nothing else stands still for want of a person. */
export function WaitingBanner({ turn }) {
  const { data } = useAnswer("/v1/handoffs?status=open&limit=100", turn);
  if (!data || !data.handoffs.length) return null;
  return html`<div class="banner row"><strong class="fill">${t("handoffs.waiting", { count: data.handoffs.length })}</strong><a class="button primary" href="#/handoffs">${t("handoffs.answer")}</a></div>`;
}

export function Handoffs({ can }) {
  const { data, error, reload } = useAnswer("/v1/handoffs?limit=100", useChanges());
  const open = data ? data.handoffs.filter((each) => each.status === "open") : [];
  const ended = data ? data.handoffs.filter((each) => each.status !== "open") : [];
  const columns = [
    { name: t("task.script"), of: (each) => html`<a href=${`#/tasks/${each.request_id}`}>${each.script_name}</a>`, class: "name" },
    { name: t("task.state"), of: (each) => html`<${Badge} tone=${TONES[each.status]}>${t(`handoff.${each.status}`)}<//>` },
    { name: t("handoffs.prompt"), of: (each) => each.prompt, class: "long" },
    { name: t("handoffs.by"), of: (each) => each.ended_by || "–", wide: true },
    { name: t("task.finished"), of: (each) => html`<${Moment} at=${each.ended_at} />`, wide: true },
  ];
  return html`<h1>${t("nav.handoffs")}</h1><p class="muted">${t("handoffs.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    ${open.map((each) => html`<${Question} key=${each.id} handoff=${each} can=${can} done=${reload} />`)}
    ${data && open.length === 0 && html`<${Empty} text=${t("handoffs.none")} command='answer = ctx.ask("Which code was sent?")' />`}
    ${ended.length > 0 && html`<section aria-labelledby="ended"><h2 id="ended">${t("handoffs.ended")}</h2><${Table} label=${t("handoffs.ended")} columns=${columns} rows=${ended} id=${(each) => each.id} /></section>`}`;
}
