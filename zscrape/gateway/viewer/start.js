// Opens the viewer on this gateway's own description. Who is signed in on the dashboard calls by
// that session; anybody else presses Authorize and types a key, which stays in this tab alone.
"use strict";
const chosen = (() => {
  try {
    return localStorage.getItem("zscrape.theme");
  } catch {
    return null; // A browser that keeps nothing shows the system's theme.
  }
})();
const isDark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("dark-mode", isDark);
window.viewer = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null, // the one by default is another host
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: (request) => {
    // By this the gateway knows that no other site's page makes the call.
    request.headers["X-Requested-With"] = "docs";
    return request;
  },
});
