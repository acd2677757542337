// Which page an address shows.

const BASE = "/console";
const routes = [];
let leave = new AbortController();
let shown = () => {};

/** A page: `pattern` as in `executions/:id`, and what shows it. */
export function route(pattern, page) {
  routes.push({ segments: pattern.split("/").filter(Boolean), page });
}

/** An address in the console: segments are percent-encoded. */
export function url(segments, query) {
  const path = [BASE, ...segments.map(encodeURIComponent)].join("/");
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  return search.size ? `${path}?${search}` : path;
}

/** Goes to an address. */
export function go(address, { instead = false } = {}) {
  if (instead) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  show();
}

/** Changes the address of the page that is shown, which stays. */
export function note(address) {
  history.replaceState(null, "", address);
}

function find() {
  const parts = location.pathname.slice(BASE.length).split("/").filter(Boolean);
  let segments;
  try {
    segments = parts.map(decodeURIComponent);
  } catch {
    return null;
  }
  for (const { segments: pattern, page } of routes) {
    if (pattern.length !== segments.length) continue;
    const params = {};
    const fits = pattern.every((part, n) => {
      if (part.startsWith(":")) params[part.slice(1)] = segments[n];
      return part.startsWith(":") || part === segments[n];
    });
    if (fits) return { page, params };
  }
  return null;
}

/** Shows the page of the present address. */
export function show() {
  leave.abort();
  leave = new AbortController();
  shown(find(), { query: new URLSearchParams(location.search), signal: leave.signal });
}

/** Begins: `listener` is given each page with what its address says. */
export function start(listener) {
  shown = listener;
  addEventListener("popstate", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const target = new URL(link.href, location.href);
    if (link.target || target.origin !== location.origin || !target.pathname.startsWith(BASE)) return;
    if (target.hash && target.pathname === location.pathname && target.search === location.search) return;
    event.preventDefault();
    go(target.pathname + target.search + target.hash);
  });
  show();
}
