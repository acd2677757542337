// Signing in: with a token, or at the provider that people have an account at.

import { h } from "../dom.js";
import { Refused } from "../api.js";
import { heading } from "../parts.js";
import { labelled } from "../dialog.js";
import { go, url } from "../router.js";

/** Only an address in the console: nobody is sent elsewhere by a link to this page. */
function target(query) {
  const next = query.get("next") ?? "";
  const home = url([]);
  return next === home || next.startsWith(`${home}/`) || next.startsWith(`${home}?`) ? next : home;
}

/** The ways to sign in. Where they cannot be told, a token is asked for: trying it says why. */
async function ways(signal) {
  const reply = await fetch("/session/methods", { headers: { accept: "application/json" }, signal });
  return reply.ok ? reply.json() : { required: true, token: true };
}

export async function show(view, { title, query, signal }) {
  title("Sign in");
  const { token, oidc } = await ways(signal).catch(() => ({ token: true }));
  if (signal.aborted) return;
  view.append(heading("Sign in"));
  if (oidc) {
    const begin = `/session/oidc?${new URLSearchParams({ next: target(query) })}`;
    view.append(
      h("p", { class: "sign-in panel" }, h("a", { class: "button primary", href: begin }, `Sign in at ${oidc}`)),
    );
  }
  if (token) view.append(tokenForm(query));
  if (!oidc && !token) view.append(h("p", {}, "Nobody has to sign in here. ", h("a", { href: url([]) }, "Go on")));
  view.querySelector("a, input")?.focus();
}

function tokenForm(query) {
  const token = h("input", { type: "password", autocomplete: "current-password", required: true, name: "token" });
  const error = h("p", { class: "problem", role: "alert", hidden: true });
  const submit = async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      const reply = await fetch("/session", {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ token: token.value }),
      });
      if (!reply.ok) throw new Refused(reply.status, await reply.json().catch(() => null));
      dispatchEvent(new Event("segno-signed-in"));
      go(target(query), { instead: true });
    } catch (refused) {
      error.textContent = refused.status === 401 ? "This token is not known here." : refused.message;
      error.hidden = false;
      token.select();
    }
  };
  return h(
    "form",
    { class: "sign-in panel", on: { submit } },
    labelled({ label: "Token" }, token),
    error,
    h("button", { class: "primary" }, "Sign in"),
  );
}
