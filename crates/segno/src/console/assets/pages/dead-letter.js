// One dead letter: why it failed, its event to be mended, and the decision about it.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { ask, labelled } from "../dialog.js";
import { attempt } from "../notice.js";
import { button, facts, heading, json, loading, panel, problem } from "../parts.js";
import { go, url } from "../router.js";
import { can } from "../session.js";
import { time } from "../time.js";

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

export async function show(view, { params, title, signal }) {
  const { id } = params;
  title(`Dead letter ${id}`);
  const body = h("div", {}, loading());
  view.append(heading(`Dead letter ${id}`), body);
  let letter;
  try {
    letter = await get(path("dead-letters", id), {}, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    const link = h("a", { href: url(["executions", id]) }, "To the execution");
    replace(body, error.status === 404 ? h("p", {}, `${error.message}. `, link) : problem(error));
    return;
  }

  const decide = async (verb, request, text) => {
    const sent = { ...request, run_id: letter.run_id };
    if (await attempt(() => post(path("dead-letters", id, verb), sent), text)) {
      go(url(["events", letter.event.source, letter.event.id]));
    }
  };

  const given = letter.cloud_event.data ?? null;
  const editor = h("textarea", { rows: 14, spellcheck: "false", class: "json", value: JSON.stringify(given, null, 2) });
  const note = h("input", { type: "text" });
  const current = h("input", { type: "checkbox" });
  const everything = h("input", { type: "checkbox" });
  const error = h("p", { class: "problem", role: "alert", hidden: true });
  const retry = (event) => {
    event.preventDefault();
    error.hidden = true;
    let data;
    try {
      data = JSON.parse(editor.value);
    } catch (wrong) {
      error.textContent = `The data is no JSON: ${wrong.message}`;
      error.hidden = false;
      editor.focus();
      return;
    }
    const request = { current_route: current.checked, all_actions: everything.checked };
    if (!same(data, given)) request.data = data;
    if (note.value.trim()) request.note = note.value.trim();
    decide("retry", request, "It runs again.");
  };

  const giveUp = async (verb) => {
    const told = await ask(verb === "skip" ? "Skip this dead letter?" : "Resolve this dead letter?", {
      text: verb === "skip" ? "Nothing more of it will run." : "Say how it was dealt with elsewhere.",
      fields: [{ name: "note", label: "Note", required: verb === "resolve" }],
      action: verb === "skip" ? "Skip" : "Resolve",
      danger: verb === "skip",
    });
    if (told) await decide(verb, told.note ? { note: told.note } : {}, verb === "skip" ? "It is skipped." : "It is resolved.");
  };

  replace(
    body,
    facts([
      ["Route", letter.route],
      ["Event", h("a", { href: url(["events", letter.event.source, letter.event.id]) }, letter.event.id)],
      ["Type", letter.event.type],
      ["Source", letter.event.source],
      ["Execution", h("a", { href: url(["executions", id], { run_id: letter.run_id }) }, letter.run_id)],
      ["Failed", time(letter.failed_at)],
      ["How often", letter.failures],
      ["Done before", letter.done?.join(", ")],
    ]),
    panel(
      "What failed",
      h("ul", {}, letter.failed.map((failed) => h("li", { class: "lines" }, h("strong", {}, failed.action), failed.attempts ? ` after ${failed.attempts} attempts` : "", `: ${failed.error}`))),
    ),
    can("operator")
      ? panel(
          "Mend and retry",
          h(
            "form",
            { on: { submit: retry } },
            labelled({ label: "Data of the event", hint: "What is changed here is what runs; the event keeps its id and source." }, editor),
            labelled({ label: "Note" }, note),
            labelled({ kind: "check", label: "With the route as it is configured now" }, current),
            labelled({ kind: "check", label: "All actions, not only those that failed" }, everything),
            error,
            h(
              "div",
              { class: "actions" },
              h("button", { class: "primary" }, "Retry"),
              button("Skip …", () => giveUp("skip")),
              button("Resolve …", () => giveUp("resolve")),
            ),
          ),
        )
      : null,
    panel("Event", json(letter.cloud_event, { label: "Event" })),
    panel("What ran", json(letter.handler, { label: "Handler", open: false })),
  );
}
