// What a task says while it runs and has said: its event stream, kept within what a page can show.

import { useEffect, useRef, useState } from "./preact.js";
import { path, stream } from "./api.js";

const LINE_LIMIT = 2000; // of the log, the last ones
const ITEM_LIMIT = 500; // of the items, the last ones
const EVENT_LIMIT = 20000; // of a task that has ended: then its beginning is shown

const PICTURE_MS = 60; // between two pictures

const EMPTY = { lines: [], items: [], itemCount: 0, states: [], progress: null, result: null, isCut: false, attempt: 0 };

const cut = (list, limit) => (list.length > limit ? list.slice(list.length - limit) : list);

function next(before, news) {
  const made = { ...before, lines: [...before.lines], items: [...before.items], states: [...before.states] };
  for (const [name, document] of news) {
    if (name === "log") made.lines.push(document);
    else if (name === "item") {
      made.items.push(document);
      made.itemCount += 1;
    } else if (name === "progress") made.progress = document;
    else if (name === "result") made.result = document;
    else if (name === "state") {
      made.states.push(document);
      // Items of an attempt that was given up do not count.
      if (document.attempt > made.attempt) {
        made.attempt = document.attempt;
        made.items = [];
        made.itemCount = 0;
      }
    }
  }
  made.lines = cut(made.lines, LINE_LIMIT);
  made.items = cut(made.items, ITEM_LIMIT);
  return made;
}

/** The task's events so far; `isLive` while more may come. */
export function useTaskStream(id) {
  const [found, set] = useState(EMPTY);
  const [isLive, setLive] = useState(true);
  const held = useRef([]);
  useEffect(() => {
    set(EMPTY);
    setLive(true);
    let frame = 0;
    let drawnAt = 0;
    let seen = 0;
    let close = () => {};
    // Many events make one picture; the first one after a rest is shown at once.
    const flush = () => {
      frame = 0;
      drawnAt = performance.now();
      const news = held.current;
      held.current = [];
      set((before) => next(before, news));
    };
    const take = (name) => (document) => {
      held.current.push([name, document]);
      seen += 1;
      if (!frame) frame = setTimeout(flush, Math.max(0, drawnAt + PICTURE_MS - performance.now()));
      if (name === "result" || seen >= EVENT_LIMIT) {
        close();
        setLive(false);
        if (name !== "result") set((before) => ({ ...before, isCut: true }));
      }
    };
    const names = ["state", "log", "progress", "item", "artifact", "result"];
    close = stream(path`/v1/tasks/${id}/events`, Object.fromEntries(names.map((name) => [name, take(name)])), (state) => {
      if (state === "closed") setLive(false);
    });
    return () => {
      close();
      clearTimeout(frame);
      held.current = [];
    };
  }, [id]);
  return { ...found, isLive };
}
