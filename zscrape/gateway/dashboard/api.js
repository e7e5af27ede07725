// Calls to the gateway, and what is told when one is refused.

import { lang, t } from "./words.js";

/** A call that was refused, or that nobody answered. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.message || t("error.status", { status }));
    this.status = status;
    this.code = problem.code || "internal";
    this.requestId = problem.request_id || "";
    this.problems = problem.problems || [];
    this.details = problem.details || {};
  }
}

const signedOut = new Set();
export const onSignedOut = (listener) => {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
};

const headers = (extra = {}) => ({ "Accept-Language": lang(), "X-Requested-With": "dashboard", ...extra });

async function problemOf(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}

/** Answer of one call, decoded; raises Refused. */
export async function call(method, path, body, options = {}) {
  const request = { method, credentials: "same-origin", signal: options.signal, headers: headers(options.headers) };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { code: "unreachable", detail: t("error.unreachable") });
  }
  if (!answer.ok) {
    const problem = await problemOf(answer);
    if (answer.status === 401 && !options.headers) signedOut.forEach((listener) => listener());
    throw new Refused(answer.status, problem);
  }
  if (options.as === "text") return answer.text();
  if (options.as === "response") return answer;
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);

/** A path with its parts escaped: path`/v1/tasks/${id}`. */
export const path = (texts, ...values) => texts.reduce((whole, text, place) => whole + encodeURIComponent(values[place - 1]) + text);

/** `?a=1&b=2` of what is not empty. */
export function query(values) {
  const found = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return found.length ? `?${new URLSearchParams(found)}` : "";
}

/** A stream of server-sent events; `handlers` by event. Returns what closes it. */
export function stream(address, handlers, onState = () => {}) {
  const source = new EventSource(address, { withCredentials: true });
  source.onopen = () => onState("open");
  source.onerror = () => onState(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data), event.lastEventId));
  }
  return () => source.close();
}
