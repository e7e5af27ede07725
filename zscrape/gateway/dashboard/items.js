// Items as a table that grows while the script runs, and page by page once it has ended.

import { html, useState } from "./preact.js";
import { path, query } from "./api.js";
import { t } from "./words.js";
import { brief, count } from "./format.js";
import { useAnswer } from "./live.js";
import { Fault, Table } from "./ui.js";

const PAGE_COUNT = 100;
const COLUMN_LIMIT = 30;

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Columns in order of first sight; what is no object has one of its own. */
function columnsOf(items) {
  const names = new Set();
  let hasPlain = false;
  for (const item of items) {
    if (isObject(item)) Object.keys(item).forEach((name) => names.add(name));
    else hasPlain = true;
  }
  const columns = [...names].slice(0, COLUMN_LIMIT).map((name) => ({
    name,
    of: (row) => (isObject(row.item) && name in row.item ? html`<${Cell} value=${row.item[name]} />` : null),
  }));
  if (hasPlain) columns.push({ name: t("items.value"), of: (row) => (isObject(row.item) ? null : html`<${Cell} value=${row.item} />`) });
  return columns;
}

function Cell({ value }) {
  if (value === null) return html`<span class="muted">null</span>`;
  const shown = brief(value);
  // Only what leads to the web is a link: an address like `javascript:` stays a text.
  if (typeof value === "string" && /^https?:\/\/\S+$/.test(value)) return html`<a href=${value} target="_blank" rel="noopener noreferrer nofollow">${shown}</a>`;
  return html`<span title=${shown.length < 200 ? "" : brief(value, 2000)}>${shown}</span>`;
}

const Downloads = ({ task }) => html`<span class="row">
  ${["csv", "xlsx", "jsonl", "json"].map((format) => html`<a class="button small" download=${`${task.script_name}.${format}`} href=${path`/v1/tasks/${task.request_id}/items` + query({ format })} aria-label=${`${format.toUpperCase()}: ${t("task.items")}`}>${format.toUpperCase()}</a>`)}
</span>`;

function Shown({ items, first, label, isFollowed }) {
  const rows = items.map((item, place) => ({ item, number: first + place }));
  const columns = [{ name: "#", of: (row) => count(row.number), number: true, class: "muted" }, ...columnsOf(items)];
  return html`<${Table} label=${label} columns=${columns} rows=${rows} id=${(row) => row.number} isFollowed=${isFollowed} />`;
}

function Pages({ task }) {
  const [offset, set] = useState(0);
  const { data, error, reload } = useAnswer(path`/v1/tasks/${task.request_id}/items` + query({ offset, limit: PAGE_COUNT }));
  const last = Math.min(task.item_count, offset + PAGE_COUNT);
  return html`
    <${Fault} error=${error} retry=${reload} />
    ${data && html`<${Shown} items=${data} first=${offset + 1} label=${t("task.items")} />`}
    ${task.item_count > PAGE_COUNT && html`<nav class="pager" aria-label=${t("items.pages")}>
      <button type="button" disabled=${!offset} onClick=${() => set(Math.max(0, offset - PAGE_COUNT))}>${t("items.before")}</button>
      <span>${t("items.range", { first: count(offset + 1), last: count(last), all: count(task.item_count) })}</span>
      <button type="button" disabled=${last >= task.item_count} onClick=${() => set(offset + PAGE_COUNT)}>${t("items.next")}</button>
    </nav>`}`;
}

export function Items({ task, live, liveCount, isOver }) {
  const total = isOver ? task.item_count : liveCount;
  if (!total) return null;
  return html`<section aria-labelledby="items" class="items">
    <div class="row"><h2 id="items" class="fill">${t("task.items")} <span class="muted">${count(total)}</span></h2><${Downloads} task=${task} /></div>
    ${isOver ? html`<${Pages} task=${task} />` : html`
      ${liveCount > live.length && html`<p class="muted">${t("items.last", { shown: count(live.length), all: count(liveCount) })}</p>`}
      <${Shown} items=${live} first=${liveCount - live.length + 1} label=${t("task.items")} isFollowed=${true} />`}
  </section>`;
}
