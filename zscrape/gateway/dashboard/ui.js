// What pages are made of: badges, tables, errors, empty states, dialogs, charts.

import { html, useEffect, useRef, useState } from "./preact.js";
import { t } from "./words.js";
import { ago, when } from "./format.js";

export { html };

export const STATE_TONES = {
  completed: "good", failed: "bad", timed_out: "bad", cancelled: "muted", running: "info", assigned: "info",
  queued: "muted", waiting: "warn", live: "good", draining: "warn", suspect: "warn", lost: "bad", active: "good",
  revoked: "bad", expired: "muted", used_up: "muted", paused: "warn", fired: "good", ok: "good", delivered: "good",
};

export const State = ({ of }) => html`<span class=${`badge ${STATE_TONES[of] || "muted"}`}>${t(`state.${of}`)}</span>`;
export const Badge = ({ tone = "muted", children }) => html`<span class=${`badge ${tone}`}>${children}</span>`;
export const Code = ({ children }) => html`<code>${children}</code>`;
export const Moment = ({ at }) => (at ? html`<time datetime=${typeof at === "string" ? at : new Date(at * 1000).toISOString()} title=${when(at)}>${ago(at)}</time>` : html`<span>–</span>`);

/** What was refused: the words of the gateway, its code, and what of the input is meant. */
export function Fault({ error, retry }) {
  if (!error) return null;
  return html`<div class="fault" role="alert">
    <p><strong>${error.message}</strong></p>
    ${error.problems && error.problems.length > 0 && html`<ul>${error.problems.map((each) => html`<li><code>${each.pointer || "/"}</code> ${each.reason}</li>`)}</ul>`}
    <p class="small muted"><code>${error.code}</code>${error.requestId && html` · <code>${error.requestId}</code>`}</p>
    ${retry && html`<button type="button" onClick=${retry}>${t("do.again")}</button>`}
  </div>`;
}

const CLIPBOARD_LIMIT_MS = 1000; // some browsers ask somebody, or never answer

async function copy(text, shown) {
  getSelection().selectAllChildren(shown);
  try {
    await Promise.race([
      navigator.clipboard.writeText(text),
      new Promise((_, refuse) => setTimeout(refuse, CLIPBOARD_LIMIT_MS)),
    ]);
  } catch {
    // Without TLS a browser has no clipboard for pages, but still the copying of what is marked.
    if (!document.execCommand("copy")) return tell(t("keys.copy_by_hand"), "warn");
  }
  return tell(t("keys.copied"));
}

/** What is to be pasted into a terminal, and a button that copies it. */
export const Command = ({ text }) => html`<div class="copied">
  <pre class="command" tabindex="0"><code>${text}</code></pre>
  <button type="button" class="small" aria-label=${`${t("do.copy")}: ${text.slice(0, 40)}`} onClick=${(event) => copy(text, event.currentTarget.previousElementSibling)}>${t("do.copy")}</button>
</div>`;

/** A name that may be broken where a reader expects it. */
export const Name = ({ of }) => of.split(/(?<=[_.-])/).map((part) => html`${part}<wbr />`);

/** Nothing is there: what to do, with the command that does it. */
export const Empty = ({ text, command, children }) => html`<div class="empty">
  <p>${text}</p>
  ${command && html`<${Command} text=${command} />`}
  ${children}
</div>`;

/** Keeps a box at its end while it grows, until somebody reads further up. */
export function useEnd(isOn = true) {
  const ref = useRef(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isOn && ref.current && isAtEnd.current) ref.current.scrollTop = ref.current.scrollHeight;
  });
  const onScroll = ({ target }) => {
    isAtEnd.current = target.scrollTop + target.clientHeight >= target.scrollHeight - 30;
  };
  return { ref, onScroll };
}

/** A table that scrolls in itself. `columns`: {name, of, wide, number}. */
export function Table({ label, columns, rows, id, selected, onSelect, rowClass, isFollowed }) {
  const box = useEnd(Boolean(isFollowed));
  const all = selected && rows.length > 0 && rows.every((row) => selected.has(id(row)));
  const pick = (names, isOn) => {
    const next = new Set(selected);
    names.forEach((name) => (isOn ? next.add(name) : next.delete(name)));
    onSelect(next);
  };
  return html`<div class="scroll" role="group" aria-label=${label} tabindex="0" ...${box}><table>
    <thead><tr>
      ${selected && html`<th scope="col" class="pick"><input type="checkbox" aria-label=${t("do.select_all")} checked=${all} onChange=${(event) => pick(rows.map(id), event.target.checked)} /></th>`}
      ${columns.map((column) => html`<th scope="col" class=${classOf(column)}>${column.name}</th>`)}
    </tr></thead>
    <tbody>${rows.map((row, place) => html`<tr key=${id ? id(row) : place} class=${rowClass ? rowClass(row) : ""}>
      ${selected && html`<td class="pick"><input type="checkbox" aria-label=${t("do.select", { name: id(row) })} checked=${selected.has(id(row))} onChange=${(event) => pick([id(row)], event.target.checked)} /></td>`}
      ${columns.map((column) => html`<td class=${classOf(column)}>${column.of(row)}</td>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

const classOf = (column) => [column.wide && "wide", column.number && "number", column.class].filter(Boolean).join(" ");

export const Bar = ({ fraction, label }) => html`<progress max="1" value=${fraction || 0} aria-label=${label}></progress>`;

export const Stat = ({ label, value, note, tone, href }) => html`<div class=${`stat ${tone || ""}`}>
  <dt>${href ? html`<a href=${href}>${label}</a>` : label}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd>
</div>`;

export const Field = ({ label, hint, error, children, isNeeded, name }) => html`<div class="field">
  <label for=${name}>${label}${isNeeded && html`<span class="needed" aria-hidden="true"> *</span>`}</label>
  ${children}
  ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
  ${error && html`<p class="wrong" id=${`${name}-wrong`}>${error}</p>`}
</div>`;

export const Select = ({ id, value, options, onChange }) => html`<select id=${id} value=${value} onChange=${(event) => onChange(event.target.value)}>
  ${options.map(([each, label]) => html`<option value=${each} selected=${each === value}>${label}</option>`)}
</select>`;

/** The end of a list, and the way to what follows. */
export const Pager = ({ hasBefore, next, onFirst, onNext }) => (hasBefore || next
  ? html`<nav class="pager" aria-label=${t("page.pages")}>
      <button type="button" disabled=${!hasBefore} onClick=${onFirst}>${t("page.newest")}</button>
      <button type="button" disabled=${!next} onClick=${onNext}>${t("page.older")}</button>
    </nav>`
  : null);

// ---- asking and telling -----------------------------------------------------------------

let show = () => {};
let say = () => {};
export const tell = (text, tone = "good") => say({ text, tone });

/** Ask whether something is meant; resolves to true or false. */
export const confirm = ({ title, text, action, isDanger = true }) =>
  new Promise((resolve) => show({ title, text, action, isDanger, resolve }));

/** Do what a button says: tells of a fault, and of what was done. */
export async function act(what, done) {
  try {
    const found = await what();
    if (done) tell(typeof done === "function" ? done(found) : done);
    return found;
  } catch (error) {
    tell(error.message, "bad");
    return undefined;
  }
}

export function Asking() {
  const [asked, set] = useState(null);
  const dialog = useRef(null);
  show = set;
  useEffect(() => {
    if (asked) dialog.current.showModal();
  }, [asked]);
  if (!asked) return null;
  const answer = (isMeant) => {
    asked.resolve(isMeant);
    set(null);
  };
  return html`<dialog ref=${dialog} aria-labelledby="asked" onCancel=${() => answer(false)}>
    <h2 id="asked">${asked.title}</h2>
    <p>${asked.text}</p>
    <div class="row end">
      <button type="button" onClick=${() => answer(false)}>${t("do.back")}</button>
      <button type="button" class=${asked.isDanger ? "danger" : "primary"} onClick=${() => answer(true)}>${asked.action}</button>
    </div>
  </dialog>`;
}

export function Telling() {
  const [told, set] = useState(null);
  say = set;
  useEffect(() => {
    if (!told) return undefined;
    const timer = setTimeout(() => set(null), 8000);
    return () => clearTimeout(timer);
  }, [told]);
  return html`<div class="telling" role="status" aria-live="polite">
    ${told && html`<div class=${`told ${told.tone}`}><span>${told.text}</span><button type="button" class="plain" aria-label=${t("do.close")} onClick=${() => set(null)}>×</button></div>`}
  </div>`;
}

// ---- charts -----------------------------------------------------------------------------

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A line chart over time. `lines`: {label, values, colour}; `words` tell the same in a sentence. */
export function Chart({ label, at, lines, words, format, theme, least }) {
  const place = useRef(null);
  const plot = useRef(null);
  const data = [at, ...lines.map((line) => line.values)];
  useEffect(() => {
    const size = () => ({ width: Math.max(200, place.current.clientWidth), height: 150 });
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui", lineGap: 1 };
    plot.current = new window.uPlot(
      {
        ...size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 18, 0, 0],
        scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high || 0, least) * 1.1] } },
        axes: [
          { ...axis, space: 70, size: 28, values: (_, marks) => marks.map((mark) => new Date(mark * 1000).toTimeString().slice(0, 5)) },
          { ...axis, size: 54, space: 34, values: (_, marks) => marks.map((mark) => format(mark)) },
        ],
        series: [{}, ...lines.map((line) => ({ stroke: colour(line.colour), fill: line.isFilled ? `${colour(line.colour)}33` : undefined, width: 2, points: { show: Boolean(line.hasGaps), size: 6, width: 1, fill: colour(line.colour) }, spanGaps: false }))],
      },
      data,
      place.current,
    );
    const watch = new ResizeObserver(() => plot.current && plot.current.setSize(size()));
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [theme, lines.map((line) => line.label).join()]);
  useEffect(() => {
    if (plot.current) plot.current.setData(data);
  });
  return html`<figure class="chart">
    <figcaption>${label}<span class="keys">${lines.map((line) => html`<span><i class=${`key ${line.colour.slice(2)}`}></i>${line.label}</span>`)}</span></figcaption>
    <p class="hint">${words}</p>
    <div ref=${place} role="img" aria-label=${label}></div>
  </figure>`;
}
