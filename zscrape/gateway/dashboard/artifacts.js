// Files that a script saved: pictures are shown, everything else is text or a download.
//
// They come from strangers. A picture of these types runs nothing; markup is shown as its source.

import { html, useState } from "./preact.js";
import { get, path } from "./api.js";
import { t } from "./words.js";
import { bytes } from "./format.js";
import { Fault } from "./ui.js";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const TEXTS = /^(text\/|application\/(json|xml|xhtml\+xml|javascript)|image\/svg\+xml)/;
const SHOWN_BYTES = 200_000;

const bare = (artifact) => artifact.content_type.split(";")[0].trim().toLowerCase();

function Source({ address }) {
  const [found, set] = useState(null);
  const [error, setError] = useState(null);
  const open = async (event) => {
    if (!event.target.open || found !== null) return;
    try {
      const answer = await get(address, { as: "response", headers: { Range: `bytes=0-${SHOWN_BYTES - 1}` } });
      set((await answer.text()).slice(0, SHOWN_BYTES));
    } catch (fault) {
      setError(fault);
    }
  };
  return html`<details onToggle=${open}><summary>${t("artifact.source")}</summary><${Fault} error=${error} />${found !== null && html`<pre tabindex="0">${found}</pre>`}</details>`;
}

function Artifact({ task, artifact }) {
  const address = path`/v1/tasks/${task.request_id}/artifacts/${artifact.name}`;
  const type = bare(artifact);
  return html`<li class="panel">
    <div class="row"><strong class="fill">${artifact.name}</strong><span class="muted">${artifact.content_type} · ${bytes(artifact.size)}</span>
      <a class="button small" href=${address} download=${artifact.name} aria-label=${`${t("do.download")}: ${artifact.name}`}>${t("do.download")}</a></div>
    ${PICTURES.includes(type) && html`<img class="picture" src=${address} alt=${t("artifact.picture", { name: artifact.name })} loading="lazy" />`}
    ${TEXTS.test(type) && html`<${Source} address=${address} />`}
  </li>`;
}

export function Artifacts({ task }) {
  if (!task.artifacts.length) return null;
  return html`<section aria-labelledby="artifacts"><h2 id="artifacts">${t("task.artifacts")} <span class="muted">${task.artifacts.length}</span></h2>
    <ul class="artifacts">${task.artifacts.map((artifact) => html`<${Artifact} key=${artifact.name} task=${task} artifact=${artifact} />`)}</ul>
  </section>`;
}
