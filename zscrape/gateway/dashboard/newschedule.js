// A new schedule, and one that is changed: the same form.

import { html } from "./preact.js";
import { call, path, post } from "./api.js";
import { t } from "./words.js";
import { useAnswer } from "./live.js";
import { Fault } from "./ui.js";
import { ScheduleForm, toldOf } from "./scheduleform.js";
import { go } from "./route.js";

export const NewSchedule = ({ values }) => html`<p class="crumbs"><a href="#/schedules">${t("nav.schedules")}</a></p><h1>${t("schedules.new")}</h1>
  <${ScheduleForm} first=${toldOf({ script_name: values.script || "", cron: "0 6 * * *" })} from=${values.from} action=${t("schedules.keep")}
    keep=${async (body) => go(`/schedules/${(await post("/v1/schedules", body)).id}`)} />`;

export function ChangeSchedule({ id }) {
  const { data: schedule, error, reload } = useAnswer(path`/v1/schedules/${id}`);
  // What the form leaves empty is set back to its default.
  const keep = async (body) => {
    await call("PATCH", path`/v1/schedules/${id}`, { version: null, overlap: null, hours: null, ...body });
    go(`/schedules/${id}`);
  };
  return html`<p class="crumbs"><a href="#/schedules">${t("nav.schedules")}</a> / <a href=${`#/schedules/${id}`}>${schedule ? schedule.name : id}</a></p><h1>${t("nav.changeschedule")}</h1>
    <${Fault} error=${error} retry=${reload} />
    ${schedule && (schedule.damaged ? html`<p>${t("schedules.damaged")}</p>` : html`<${ScheduleForm} first=${toldOf(schedule)} given=${schedule.parameters} action=${t("do.keep")} keep=${keep} />`)}`;
}
