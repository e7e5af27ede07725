// Opening a page.

/** Open a page; `values` stand in its address, so that it can be kept and sent. */
export function go(path, values = {}) {
  const found = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = found.length ? `?${new URLSearchParams(found)}` : "";
  location.hash = `#${path}${search}`;
}
