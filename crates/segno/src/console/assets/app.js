// The console: its frame around the pages, and what begins with it.

import { h, replace } from "./dom.js";
import { whenSignedOut, remove } from "./api.js";
import { connect, listen, liveState } from "./live.js";
import { attempt, noticeRegions, wrong } from "./notice.js";
import { can, loadSession, who } from "./session.js";
import { go, route, show, start, url } from "./router.js";
import { help, listenToKeys, place } from "./shortcuts.js";
import { apply, current, next } from "./theme.js";
import { isUtc, toggleZone } from "./time.js";
import { PAGES } from "./pages.js";
import * as missing from "./pages/missing.js";
import * as signIn from "./pages/sign-in.js";

const main = h("main", { id: "main", tabindex: "-1" });
const navigation = h("ul", {});
const menu = h("nav", { id: "menu", class: "menu", "aria-label": "Console" }, navigation);
const signal = h("span", { class: "live", role: "status" });
const person = h("span", { class: "person" });
let signingIn = false;

apply();

function frame() {
  const toggle = h("button", { class: "menu-button", type: "button", "aria-expanded": "false", "aria-controls": "menu" }, "Menu");
  toggle.addEventListener("click", () => {
    const open = document.body.classList.toggle("menu-open");
    toggle.setAttribute("aria-expanded", String(open));
  });
  navigation.addEventListener("click", () => {
    document.body.classList.remove("menu-open");
    toggle.setAttribute("aria-expanded", "false");
  });
  const zone = h("button", { type: "button", class: "quiet" });
  const sayZone = () => {
    zone.textContent = isUtc() ? "UTC" : "Local time";
    zone.setAttribute("aria-label", `${zone.textContent} is shown. Change to ${isUtc() ? "local time" : "UTC"}`);
  };
  zone.addEventListener("click", () => {
    toggleZone();
    sayZone();
  });
  sayZone();
  const theme = h("button", { type: "button", class: "quiet" });
  const sayTheme = () => {
    theme.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[current()];
    theme.setAttribute("aria-label", `${theme.textContent} colours. Change to ${next()}`);
  };
  theme.addEventListener("click", () => {
    apply(next());
    sayTheme();
  });
  sayTheme();
  const keys = h("button", { type: "button", class: "quiet", "aria-label": "Keyboard shortcuts", on: { click: help } }, "?");
  const brand = h("a", { class: "brand", href: url([]) }, "Segno");
  const bar = h("header", { class: "bar" }, toggle, brand, signal, h("div", { class: "settings" }, zone, theme, keys, person));
  document.getElementById("app").replaceWith(bar, menu, main, ...noticeRegions());
}

function fillNavigation(session) {
  const shown = PAGES.filter((page) => page.label && (!page.role || can(page.role)));
  replace(
    navigation,
    shown.map((page) =>
      h("li", { "data-place": page.pattern }, h("a", { href: url([page.pattern].filter(Boolean)) }, page.label)),
    ),
  );
  for (const page of shown) if (page.key) place(page.key, page.label, url([page.pattern].filter(Boolean)));
  const leave = async () => {
    if (await attempt(() => remove("/session"), "Signed out.")) location.assign(url(["sign-in"]));
  };
  replace(
    person,
    session.csrf ? h("span", { class: "name" }, `${session.name} (${session.role})`) : null,
    session.csrf ? h("button", { type: "button", class: "quiet", on: { click: leave } }, "Sign out") : null,
  );
}

function mark(page) {
  const first = page?.pattern?.split("/")[0] ?? null;
  for (const item of navigation.children) {
    const link = item.firstElementChild;
    if (item.dataset.place === first) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Shows a page in place of the one before. */
async function present(found, context) {
  const { page, params } = found ?? { page: missing, params: {} };
  if (!signingIn && page !== signIn && !(await signedIn())) return;
  if (context.signal.aborted) return;
  mark(page);
  const view = h("div", { class: "page" });
  replace(main, view);
  const title = (text) => {
    document.title = `${text} · Segno`;
  };
  title(page.label ?? "Segno");
  try {
    await page.show(view, { ...context, params, title });
  } catch (error) {
    wrong(error);
  }
  // A reader of the screen is told of the new page; at the first one the browser does.
  if (moved && !view.contains(document.activeElement)) view.querySelector("h1")?.focus({ preventScroll: true });
  if (moved) scrollTo(0, 0);
  moved = true;
}

let moved = false;
let session = null;

/** Whether somebody is signed in, or need not be; else the page to sign in is shown. */
async function signedIn() {
  if (session) return true;
  try {
    session = await loadSession();
  } catch (error) {
    wrong(error);
    return true;
  }
  if (!session) {
    toSignIn();
    return false;
  }
  fillNavigation(who());
  connect();
  return true;
}

function toSignIn() {
  session = null;
  const here = location.pathname + location.search;
  if (!location.pathname.endsWith("/sign-in")) go(url(["sign-in"], { next: here }), { instead: true });
}

frame();
for (const page of PAGES) route(page.pattern, page);
route("sign-in", signIn);
whenSignedOut(toSignIn);
listenToKeys();
listen((overview) => {
  const { state, why } = liveState();
  signal.dataset.state = state;
  const text = { live: "Live", connecting: "Connecting …", unavailable: "Engine unavailable" }[state];
  if (signal.textContent !== text) signal.textContent = text;
  signal.title = overview ? "" : why;
});
start(present);
addEventListener("segno-signed-in", () => {
  session = null;
  show();
});
