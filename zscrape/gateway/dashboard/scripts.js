// What can be run: every script with its newest version, and what is wrong with a repository.

import { html, useState } from "./preact.js";
import { post } from "./api.js";
import { sampleWords, t } from "./words.js";
import { count } from "./format.js";
import { useAnswer } from "./live.js";
import { Badge, Empty, Fault, Name, Table, act } from "./ui.js";

const link = (script, text) => html`<a href=${`#/scripts/${encodeURIComponent(script.name)}`}>${text}</a>`;

const COLUMNS = () => [
  { name: t("scripts.name"), of: (script) => link(script, html`<${Name} of=${script.name} />`), class: "name" },
  { name: t("scripts.description"), of: (script) => html`${sampleWords(script.name, script.description)}${script.problems.map((each) => html`<p class="wrong">${each.reason}</p>`)}`, class: "long" },
  { name: t("scripts.version"), of: (script) => html`${script.version || "–"}${script.version_count > 1 && html` <small class="muted">${t("scripts.more", { count: count(script.version_count - 1) })}</small>`}`, wide: true },
  { name: t("scripts.tags"), of: (script) => script.tags.map((tag) => html`<${Badge}>${tag}<//> `), wide: true },
  { name: t("scripts.repository"), of: (script) => script.repository, wide: true },
];

export function Scripts({ can }) {
  const { data, error, reload } = useAnswer("/v1/scripts");
  const [wanted, set] = useState("");
  const refresh = async () => {
    await act(() => post("/v1/scripts/refresh"), (found) => t(found.changed ? "scripts.changed" : "scripts.unchanged"));
    reload();
  };
  const fits = (script) => `${script.name} ${script.description} ${sampleWords(script.name, script.description)} ${script.tags.join(" ")}`.toLowerCase().includes(wanted.toLowerCase());
  const rows = data ? data.scripts.filter(fits) : [];
  return html`<div class="row"><h1 class="fill">${t("nav.scripts")}</h1>${can.admin && html`<button type="button" onClick=${refresh}>${t("scripts.refresh")}</button>`}</div>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.repositories.filter((each) => each.error).map((each) => html`<p class="banner"><strong>${each.name}</strong>: ${each.error}</p>`)}
    ${data && data.scripts.length > 0 && html`
      <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}><div class="field"><label for="find">${t("scripts.find")}</label><input id="find" type="search" value=${wanted} onInput=${(event) => set(event.target.value)} /></div></form>
      <p class="muted">${t("scripts.choose")}</p>
      <${Table} label=${t("nav.scripts")} columns=${COLUMNS()} rows=${rows} id=${(script) => script.name} />`}
    ${data && data.scripts.length === 0 && html`<${Empty} text=${t("scripts.none")} command="zscrape scripts new my_script" />`}`;
}
