// Which pages there are: a page more is one module and one line here.
//
// `scopes`: who may see it, beside admin. `listedAs`: it belongs to another page of the menu.

import { Overview } from "./overview.js";
import { Tasks } from "./tasks.js";
import { Task } from "./task.js";
import { Scripts } from "./scripts.js";
import { Script } from "./script.js";
import { Schedules } from "./schedules.js";
import { Schedule } from "./schedule.js";
import { ChangeSchedule, NewSchedule } from "./newschedule.js";
import { Workers } from "./workers.js";
import { Handoffs } from "./handoffs.js";
import { Sites } from "./sites.js";
import { Locks } from "./locks.js";
import { DeadLetters } from "./deadletters.js";
import { Sessions } from "./sessions.js";
import { Secrets } from "./secrets.js";
import { Keys } from "./keys.js";
import { Audit } from "./audit.js";

export const PAGES = [
  { name: "overview", path: "/", scopes: ["read", "run"], component: Overview },
  { name: "tasks", path: "/tasks", scopes: ["read", "run"], component: Tasks },
  { name: "task", path: "/tasks/:id", scopes: ["read", "run"], component: Task, isListed: false, listedAs: "tasks" },
  { name: "scripts", path: "/scripts", scopes: ["read", "run"], component: Scripts },
  { name: "script", path: "/scripts/:id", scopes: ["read", "run"], component: Script, isListed: false, listedAs: "scripts" },
  { name: "schedules", path: "/schedules", scopes: ["read"], component: Schedules },
  { name: "newschedule", path: "/schedules/new", scopes: [], component: NewSchedule, isListed: false, listedAs: "schedules" },
  { name: "changeschedule", path: "/schedules/:id/change", scopes: [], component: ChangeSchedule, isListed: false, listedAs: "schedules" },
  { name: "schedule", path: "/schedules/:id", scopes: ["read"], component: Schedule, isListed: false, listedAs: "schedules" },
  { name: "handoffs", path: "/handoffs", scopes: ["read", "run"], component: Handoffs },
  { name: "workers", path: "/workers", scopes: ["read"], component: Workers },
  { name: "sites", path: "/sites", scopes: ["read"], component: Sites },
  { name: "locks", path: "/locks", scopes: ["read"], component: Locks },
  { name: "deadletters", path: "/deadletters", scopes: ["read", "run"], component: DeadLetters },
  { name: "sessions", path: "/sessions", scopes: [], component: Sessions },
  { name: "secrets", path: "/secrets", scopes: [], component: Secrets },
  { name: "keys", path: "/keys", scopes: [], component: Keys },
  { name: "audit", path: "/audit", scopes: [], component: Audit },
];

// Addresses are typed and cut off by people: what is no escape stands for itself.
const decoded = (part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

const matching = (pattern, path) => {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const parameters = {};
  for (const [place, part] of wanted.entries()) {
    if (part.startsWith(":") && given[place]) parameters[part.slice(1)] = decoded(given[place]);
    else if (part !== given[place]) return null;
  }
  return parameters;
};

/** The page of a route, with what the route says. */
export function find(route) {
  const [path, search = ""] = route.split("?");
  const values = Object.fromEntries(new URLSearchParams(search));
  for (const page of PAGES) {
    const parameters = matching(page.path, path);
    if (parameters) return { page, parameters, values };
  }
  return { page: PAGES[0], parameters: {}, values: {} };
}
