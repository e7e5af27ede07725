// Cookies as people bring them: JSON of a browser or an extension, lines of a cookies.txt, or
// what stands in a `Cookie` header.

const HTTP_ONLY = "#HttpOnly_";

function cookieOf(told) {
  const expires = told.expires ?? told.expirationDate;
  return {
    name: String(told.name),
    value: String(told.value ?? ""),
    ...(typeof told.domain === "string" && told.domain && { domain: told.domain }),
    ...(typeof told.path === "string" && told.path && { path: told.path }),
    ...(told.secure === true && { secure: true }),
    ...(told.httpOnly === true && { httpOnly: true }),
    ...(typeof expires === "number" && expires > 0 && { expires }),
  };
}

function fromJson(text) {
  const found = JSON.parse(text);
  const list = Array.isArray(found) ? found : found.cookies;
  if (Array.isArray(list)) return list.filter((each) => each && each.name).map(cookieOf);
  return Object.entries(found).filter(([, value]) => typeof value === "string").map(([name, value]) => ({ name, value }));
}

function fromLines(text) {
  const parts = text.split("\n").map((line) => [line.replace(HTTP_ONLY, "").trim().split("\t"), line.startsWith(HTTP_ONLY)]);
  return parts.filter(([line, isHidden]) => line.length === 7 && (isHidden || !line[0].startsWith("#"))).map(([[domain, , path, secure, expires, name, value], isHidden]) => cookieOf({ domain, path, secure: secure === "TRUE", httpOnly: isHidden, expires: Number(expires), name, value }));
}

const fromHeader = (text) => text.replace(/^cookie:/i, "").split(";").map((each) => each.trim().split("=")).filter(([name, ...rest]) => name && rest.length).map(([name, ...rest]) => ({ name, value: rest.join("=") }));

/** The cookies that a text holds; none when it is no such text. */
export function cookiesIn(text) {
  try {
    if (/^\s*[[{]/.test(text)) return fromJson(text);
  } catch {
    return [];
  }
  return text.includes("\t") ? fromLines(text) : fromHeader(text.trim());
}
