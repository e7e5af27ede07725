// A form drawn from a JSON schema: what a script takes, said in its own words.
//
// Simple types have fields of their own; what nests is written as JSON. What is left as the
// script has it is not sent, so that another version's default counts there.

import { html } from "./preact.js";
import { sampleWords, t } from "./words.js";
import { Field } from "./ui.js";

const OTHERS = "…";

/** The schema of a value without `null` beside it, and whether null was there. */
function plain(schema) {
  const choices = schema.anyOf || schema.oneOf;
  if (!choices) {
    if (!Array.isArray(schema.type)) return [schema, schema.type === "null"];
    const types = schema.type.filter((each) => each !== "null");
    return [{ ...schema, type: types.length === 1 ? types[0] : undefined }, types.length < schema.type.length];
  }
  const left = choices.filter((each) => each.type !== "null");
  const hasNull = left.length < choices.length;
  return left.length === 1 ? [{ ...left[0], description: schema.description, default: schema.default }, hasNull] : [{ ...schema, type: undefined }, hasNull];
}

function resolved(schema, root) {
  const found = /^#\/(\$defs|definitions)\/(.+)$/.exec((schema && schema.$ref) || "");
  if (!found) return schema || {};
  return { ...((root[found[1]] || {})[found[2]] || {}), ...(schema.default !== undefined && { default: schema.default }), ...(schema.description && { description: schema.description }) };
}

function kindOf(schema) {
  if (schema.enum) return "enum";
  if (schema.const !== undefined) return "enum";
  if (schema.type === "boolean") return "boolean";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "string") return schema.format === "date-time" ? "moment" : schema.format === "password" ? "secret" : (schema.maxLength || 0) > 200 ? "text" : "string";
  if (schema.type === "array" && schema.items && schema.items.type === "string" && !schema.items.enum) return "lines";
  return "json";
}

/** What a schema asks for, field by field; `script`: whose it is. */
export function fieldsOf(root, script = "") {
  const needed = new Set(root.required || []);
  const fields = Object.entries(root.properties || {}).map(([name, given]) => {
    const [schema, hasNull] = plain(resolved(given, root));
    return { name, schema: resolved(schema, root), hasNull, isNeeded: needed.has(name), script, kind: kindOf(resolved(schema, root)), standard: given.default ?? schema.default };
  });
  if (root.additionalProperties !== false && !root.$ref) fields.push({ name: OTHERS, schema: { type: "object" }, kind: "json", isRest: true, standard: undefined });
  return fields;
}

const asText = (field, value) => {
  if (value === undefined || value === null) return "";
  if (field.kind === "json") return JSON.stringify(value, null, 2);
  if (field.kind === "lines") return Array.isArray(value) ? value.join("\n") : JSON.stringify(value);
  if (field.kind === "enum" || field.kind === "boolean") return JSON.stringify(value);
  return String(value);
};

/** The texts that stand in the fields at first: given values, else the script's own. */
export function textsOf(fields, given = {}) {
  const texts = {};
  const known = new Set(fields.map((field) => field.name));
  for (const field of fields) {
    if (field.isRest) {
      const rest = Object.fromEntries(Object.entries(given).filter(([name]) => !known.has(name)));
      texts[field.name] = Object.keys(rest).length ? JSON.stringify(rest, null, 2) : "";
    } else texts[field.name] = asText(field, field.name in given ? given[field.name] : field.standard);
  }
  return texts;
}

function valueOf(field, text) {
  if (field.kind === "enum" || field.kind === "boolean" || field.kind === "json") return JSON.parse(text);
  if (field.kind === "lines") return text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (field.kind === "number") {
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Error(text);
    return value;
  }
  return text;
}

/** The parameters that the texts stand for, and what is wrong, by field. */
export function read(fields, texts) {
  const parameters = {};
  const wrong = {};
  for (const field of fields) {
    const text = texts[field.name] ?? "";
    const isAsItStands = text === asText(field, field.standard);
    if (text.trim() === "" && field.kind !== "string" && field.kind !== "secret") {
      if (field.isNeeded) wrong[field.name] = t("form.needed");
      continue;
    }
    if (isAsItStands && !field.isNeeded) continue;
    if (text === "" && field.isNeeded) {
      wrong[field.name] = t("form.needed");
      continue;
    }
    try {
      const value = valueOf(field, text);
      if (field.isRest) Object.assign(parameters, value);
      else parameters[field.name] = value;
    } catch {
      wrong[field.name] = t(field.kind === "number" ? "form.not_number" : "form.not_json");
    }
  }
  return { parameters, wrong };
}

/** What the gateway found wrong, by field: pointers begin with the field's name. */
export function placed(problems, prefix = "") {
  const wrong = {};
  for (const { pointer, reason } of problems) {
    const rest = pointer.startsWith(prefix) ? pointer.slice(prefix.length) : pointer;
    const name = rest.split("/")[1] || OTHERS;
    wrong[name.replaceAll("~1", "/").replaceAll("~0", "~")] = reason;
  }
  return wrong;
}

function Input({ field, text, set, isWrong }) {
  const id = `p-${field.name}`;
  const common = {
    id,
    "aria-describedby": [field.schema.description && `${id}-hint`, isWrong && `${id}-wrong`].filter(Boolean).join(" ") || undefined,
    "aria-invalid": isWrong ? "true" : undefined,
    "aria-required": field.isNeeded ? "true" : undefined,
    onInput: (event) => set(event.target.value),
  };
  if (field.kind === "enum" || field.kind === "boolean") {
    const values = field.kind === "boolean" ? [true, false] : field.schema.enum || [field.schema.const];
    const label = (value) => (typeof value === "boolean" ? t(value ? "form.yes" : "form.no") : String(value));
    return html`<select ...${common} onInput=${undefined} onChange=${(event) => set(event.target.value)}>
      ${(!field.isNeeded || text === "") && html`<option value="" selected=${text === ""}>–</option>`}
      ${values.map((value) => html`<option value=${JSON.stringify(value)} selected=${text === JSON.stringify(value)}>${label(value)}</option>`)}
    </select>`;
  }
  if (field.kind === "json" || field.kind === "lines" || field.kind === "text") return html`<textarea ...${common} rows=${Math.min(8, Math.max(2, text.split("\n").length))} spellcheck="false" placeholder=${field.isRest ? '{"name": "value"}' : ""} value=${text}></textarea>`;
  return html`<input ...${common} type=${field.kind === "number" ? "number" : field.kind === "secret" ? "password" : "text"} step=${field.schema.type === "integer" ? "1" : "any"} min=${field.schema.minimum} max=${field.schema.maximum} placeholder=${field.kind === "moment" ? "2026-02-10T09:00:00Z" : ""} spellcheck="false" autocomplete="off" value=${text} />`;
}

const hint = (field) => {
  const parts = [field.isRest ? t("form.rest") : sampleWords(`${field.script}.${field.name}`, field.schema.description), field.kind === "lines" && t("form.lines"), field.kind === "json" && !field.isRest && t("form.json")];
  return parts.filter(Boolean).join(" ");
};

export const Form = ({ fields, texts, set, wrong }) => html`<div class="form">
  ${fields.length === 0 && html`<p class="muted">${t("form.nothing")}</p>`}
  ${fields.map((field) => html`<${Field} key=${field.name} name=${`p-${field.name}`} label=${field.isRest ? t("form.others") : field.schema.title || field.name} isNeeded=${field.isNeeded} hint=${hint(field)} error=${wrong[field.name]}>
    <${Input} field=${field} text=${texts[field.name] ?? ""} isWrong=${Boolean(wrong[field.name])} set=${(text) => set({ ...texts, [field.name]: text })} />
  <//>`)}
</div>`;
