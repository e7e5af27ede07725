// Moments, durations, sizes and counts as people read them, in the page's language.

import { lang, t } from "./words.js";

const locale = () => (lang() === "ko" ? "ko-KR" : "en-GB");

export const count = (value) => (value === null || value === undefined ? "–" : new Intl.NumberFormat(locale()).format(value));

const unit = (name, value) => t(`unit.${name}`, { value });

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, seconds);
  if (s < 1) return `${s < 0.001 ? 0 : Math.round(s * 1000)} ms`;
  if (s < 60) return unit("s", s < 10 && !Number.isInteger(s) ? s.toFixed(1) : Math.round(s));
  const parts = [["d", Math.floor(s / 86400)], ["h", Math.floor((s % 86400) / 3600)], ["m", Math.floor((s % 3600) / 60)], ["s", Math.floor(s % 60)]];
  const first = parts.findIndex(([, value]) => value > 0);
  return parts.slice(first, first + 2).filter(([, value]) => value > 0).map(([name, value]) => unit(name, value)).join(" ");
}

export function bytes(size) {
  if (size >= 1e6 && size % 1e6 === 0) return `${count(size / 1e6)} MB`; // as limits are written
  if (size < 1024) return `${size} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = size / 1024;
  let place = 0;
  while (value >= 1024 && place < units.length - 1) {
    value /= 1024;
    place += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
}

const asDate = (moment) => (typeof moment === "number" ? new Date(moment * 1000) : new Date(moment));

export function when(moment) {
  if (!moment) return "–";
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(asDate(moment));
}

/** A moment to the minute with its weekday, in the zone that a schedule counts in. */
export function whenIn(moment, zone) {
  const parts = { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(asDate(moment).getSeconds() && { second: "2-digit" }) };
  try {
    return new Intl.DateTimeFormat(locale(), { ...parts, timeZone: zone }).format(asDate(moment));
  } catch {
    return when(moment); // a zone that the gateway knows and this browser does not
  }
}

export function clock(moment) {
  if (!moment) return "–";
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium", hourCycle: "h23" }).format(asDate(moment));
}

const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [Infinity, "day", 86400]];

/** "3 minutes ago", "in 2 hours". */
export function ago(moment) {
  if (!moment) return "–";
  const seconds = (asDate(moment).getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) < 3) return t("time.now");
  const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return new Intl.RelativeTimeFormat(locale(), { numeric: "always", style: "short" }).format(Math.round(seconds / size), unit);
}

export const percent = (fraction) => `${Math.round(Math.max(0, Math.min(1, fraction || 0)) * 100)}%`;

/** Any JSON value in one line, never longer than people read. */
export function brief(value, limit = 200) {
  const told = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  return told.length > limit ? `${told.slice(0, limit)}…` : told;
}

export const shortId = (id) => (id.length > 13 ? `…${id.slice(-8)}` : id);
