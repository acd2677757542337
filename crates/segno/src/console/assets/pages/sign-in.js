// Signing in.

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

export function show(view, { title, query }) {
  title("Sign in");
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
  view.append(
    heading("Sign in"),
    h(
      "form",
      { class: "sign-in panel", on: { submit } },
      labelled({ label: "Token" }, token),
      error,
      h("button", { class: "primary" }, "Sign in"),
    ),
  );
  token.focus();
}
