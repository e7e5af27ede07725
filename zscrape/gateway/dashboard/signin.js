// Nobody is signed in: by a key here, or by a link from the terminal.

import { html, useState } from "./preact.js";
import { call } from "./api.js";
import { t } from "./words.js";
import { Fault } from "./ui.js";

export function SignIn({ children }) {
  const [key, set] = useState("");
  const [error, setError] = useState(null);
  const enter = async (event) => {
    event.preventDefault();
    setError(null);
    try {
      const link = await call("POST", "/v1/logins", undefined, { headers: { Authorization: `Bearer ${key.trim()}` } });
      location.assign(link.path);
    } catch (found) {
      setError(found);
    }
  };
  return html`<main id="main" class="alone">
    <div class="row"><h1 class="fill">zscrape</h1>${children}</div>
    <form onSubmit=${enter}>
      <label for="key">${t("signin.key")}</label>
      <input id="key" type="password" autocomplete="current-password" required value=${key} onInput=${(event) => set(event.target.value)} aria-describedby="key-hint" />
      <p class="hint" id="key-hint">${t("signin.hint")}</p>
      <button class="primary" type="submit">${t("signin.enter")}</button>
    </form>
    <${Fault} error=${error} />
    <p>${t("signin.link")}</p>
    <pre class="command" tabindex="0"><code>zscrape dashboard</code></pre>
  </main>`;
}
