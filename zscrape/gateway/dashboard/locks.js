// Who holds what, since when, and taking it from one who should not.

import { html } from "./preact.js";
import { call, path } from "./api.js";
import { t } from "./words.js";
import { count, shortId } from "./format.js";
import { useAnswer, useTick } from "./live.js";
import { Badge, Empty, Fault, Moment, Table, act, confirm } from "./ui.js";

async function release(lock, reload) {
  if (!(await confirm({ title: t("locks.break.title"), text: t("locks.break.text", { key: lock.key }), action: t("locks.break") }))) return;
  await act(() => call("DELETE", path`/v1/locks/${lock.key}`), (found) => t(found.freed ? "locks.freed" : "locks.closing"));
  reload();
}

export function Locks({ can }) {
  const { data, error, reload } = useAnswer("/v1/locks", useTick());
  const columns = [
    { name: t("locks.key"), of: (lock) => html`<code>${lock.key}</code>${lock.closing && html` <${Badge} tone="warn">${t("locks.ending")}<//>`}`, class: "name" },
    { name: t("locks.holder"), of: (lock) => html`<a href=${`#/tasks/${lock.holder}`}>${lock.script_name || shortId(lock.holder)}</a>` },
    { name: t("locks.since"), of: (lock) => html`<${Moment} at=${lock.since} />` },
    { name: t("locks.waiting"), of: (lock) => count(lock.waiting_count), number: true },
    { name: t("task.worker"), of: (lock) => lock.worker_id || "–", wide: true },
  ];
  if (can.admin) columns.push({ name: t("do.actions"), of: (lock) => html`<button type="button" class="small danger" onClick=${() => release(lock, reload)} aria-label=${`${t("locks.break")}: ${lock.key}`}>${t("locks.break")}</button>` });
  return html`<h1>${t("nav.locks")}</h1><p class="muted">${t("locks.what")}</p>
    <${Fault} error=${error} retry=${reload} />
    ${data && data.locks.length > 0 && html`<${Table} label=${t("nav.locks")} columns=${columns} rows=${data.locks} id=${(lock) => lock.key} />`}
    ${data && data.locks.length === 0 && html`<${Empty} text=${t("locks.none")} command="zscrape locks list" />`}`;
}
