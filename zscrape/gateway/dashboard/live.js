// What the gateway does now, from one stream for the whole page, and what a page asks for itself.

import { useCallback, useEffect, useRef, useState } from "./preact.js";
import { get, stream } from "./api.js";

let told = null;
let state = "waiting";
let close = null;
const listeners = new Set();
const tell = () => listeners.forEach((listener) => listener());

function open() {
  if (close || document.hidden || !listeners.size) return;
  close = stream(
    "/v1/overview/events",
    { overview: (document) => { told = document; state = "open"; tell(); } },
    (now) => {
      state = now;
      if (now === "closed") retry();
      tell();
    },
  );
}

function shut() {
  if (close) close();
  close = null;
}

// A browser gives up on a stream that was refused; the gateway may be starting again.
function retry() {
  shut();
  setTimeout(open, 3000);
}

// A page that nobody sees holds no connection: a browser has six of them for a host.
document.addEventListener("visibilitychange", () => (document.hidden ? shut() : open()));

/** The overview as it stands, and whether the stream is open. */
export function useLive() {
  const [, turn] = useState(0);
  useEffect(() => {
    const listener = () => turn((before) => before + 1);
    listeners.add(listener);
    open();
    return () => {
      listeners.delete(listener);
      if (!listeners.size) shut();
    };
  }, []);
  return { overview: told, state };
}

/** A word that changes whenever tasks have changed. */
export function useChanges() {
  const { overview } = useLive();
  if (!overview) return "";
  const { hour } = overview;
  return [overview.queue_length, overview.assigned_count, overview.running_count, hour.completed_count, hour.failed_count, hour.cancelled_count, overview.active_workers].join();
}

/** A word that changes every moment, for what no count tells of: loads, pauses, locks that close. */
export function useTick() {
  const { overview } = useLive();
  return overview ? String(overview.uptime_s) : "";
}

/** What `address` answers; asked again when the address or `turn` changes. null: ask nothing. */
export function useAnswer(address, turn = "") {
  const [found, set] = useState({ data: null, error: null, address: null });
  const [again, ask] = useState(0);
  const latest = useRef(null);
  useEffect(() => {
    if (!address) return undefined;
    const control = new AbortController();
    latest.current = control;
    get(address, { signal: control.signal }).then(
      (data) => { if (latest.current === control) set({ data, error: null, address }); },
      (error) => { if (latest.current === control && error.name !== "AbortError") set((before) => ({ ...before, error })); },
    );
    return () => control.abort();
  }, [address, turn, again]);
  const reload = useCallback(() => ask((before) => before + 1), []);
  return { data: found.data, error: found.error, isLoading: !found.data && !found.error, reload };
}
