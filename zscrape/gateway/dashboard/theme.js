// Before the first paint: the theme that was chosen. Without one, the system's holds.
"use strict";
try {
  const chosen = localStorage.getItem("zscrape.theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing shows the system's theme.
}
