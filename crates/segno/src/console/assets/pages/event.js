// One event's whole story: what the routes say to it, and what became of it on each.

import { h, replace } from "../dom.js";
import { get, path } from "../api.js";
import { every, onChange } from "../changes.js";
import { empty, facts, failure, heading, json, loading, panel, problem, size, status, table } from "../parts.js";
import { url } from "../router.js";
import { can } from "../session.js";
import { between, time } from "../time.js";

function routes(story) {
  return panel(
    "Routes",
    table(
      "What each route says to the event, as it is configured now",
      [
        { label: "Route", cell: (route) => route.route },
        { label: "Takes it", cell: (route) => status(route.takes ? "Yes" : "No") },
        { label: "Why", cell: (route) => h("span", { class: "lines" }, route.why ?? "–") },
      ],
      story.routes,
      { none: "No routes are configured." },
    ),
  );
}

/** What an action made of the event, and what the sink said to it. */
function payloads(action) {
  const told = action.result;
  if (told?.skipped) return h("p", {}, `Skipped: ${told.skipped}`);
  if (!told?.payloads?.length) return null;
  return h(
    "ol",
    { class: "payloads" },
    told.payloads.map((sent, n) =>
      h(
        "li",
        {},
        h("p", {}, [
          `Payload ${n + 1} of ${told.payloads.length}, ${size(sent.bytes)}`,
          sent.attempt ? `, delivered by attempt ${sent.attempt}` : "",
          sent.status ? `, answered ${sent.status}` : "",
        ]),
        sent.payload === undefined ? empty("Too large to be kept.") : json(sent.payload, { label: "After the transform" }),
      ),
    ),
  );
}

/** An action, or another activity, under a heading of this level. */
export function action(one, level = "h4") {
  return h(
    "section",
    { class: "action" },
    h(level, {}, one.name, " ", status(one.state), " ", h("span", { class: "muted" }, one.type)),
    facts([
      ["Attempts", one.attempts],
      ["Began", one.started && time(one.started)],
      ["Took", one.ended && between(one.started, one.ended)],
      ["Tried again", one.next_attempt_time && time(one.next_attempt_time)],
    ]),
    failure(one.failure),
    payloads(one),
  );
}

/** The page where this event may be replayed, on the routes that take it unless others are named. */
export function replayOf(source, id, routes) {
  return h("a", { class: "button", href: url(["replays"], { source, id, routes: routes.join(",") }), "data-keep": "replay" }, "Replay …");
}

/** How the event came in, and the row of an outbox that it was in before. */
function origin(told) {
  const row = told?.row;
  return [
    ["came in", told && ({ http: "over HTTP", schedule: "by the schedule of its route", program: "from the program itself" }[told.by] ?? `by the ${told.by} ${told.name}`)],
    ["outbox", row?.outbox],
    ["row", row && String(row.position)],
    ["written", row && time(row.written_at)],
    ["relayed", row && [time(row.relayed_at), ` after ${between(row.written_at, row.relayed_at)}`]],
  ];
}

function execution(told) {
  return h(
    "article",
    { class: "panel" },
    h("h3", {}, told.route ?? "Kept", " ", status(told.status)),
    h("p", { class: "lines" }, told.state),
    facts([
      ["Execution", h("a", { href: url(["executions", told.workflow_id]) }, told.workflow_id)],
      ["Replay", told.replay],
      ["Waits", told.waits],
      ["Dead letter", told.dead_letter && h("a", { href: url(["dead-letters", told.workflow_id]) }, "Decide about it")],
    ]),
    told.actions.map((one) => action(one)),
    told.runs.length > 1
      ? table(
          "Its runs",
          [
            { label: "Run", cell: (run) => h("a", { href: url(["executions", told.workflow_id], { run_id: run.run_id }) }, run.run_id) },
            { label: "Status", cell: (run) => status(run.status) },
            { label: "Began", cell: (run) => time(run.started_at) },
            { label: "Closed", cell: (run) => time(run.closed_at) },
            {
              label: "After",
              cell: ({ after }) => (after ? [after.decision, after.by ? ` by ${after.by}` : "", after.note ? `: ${after.note}` : ""].join("") : "–"),
            },
          ],
          told.runs,
        )
      : null,
  );
}

export async function show(view, { params, title, signal }) {
  title(`Event ${params.id}`);
  const actions = h("div", { class: "actions" });
  const body = h("div", {}, loading());
  view.append(heading(`Event ${params.id}`, actions), body);
  let shown = "";
  let running = true;
  const refresh = async () => {
    try {
      const story = await get(path("events", params.source, params.id), {}, signal);
      running = story.executions.some((one) => one.status === "Running");
      const text = JSON.stringify(story);
      if (text === shown) return;
      shown = text;
      const { data, data_base64, ...attributes } = story.event;
      const taking = story.routes.filter((route) => route.takes).map((route) => route.route);
      replace(actions, can("operator") ? replayOf(params.source, params.id, taking) : null);
      replace(
        body,
        panel(
          "Event",
          facts([
            ...["type", "source", "subject", "id"].map((name) => [name, attributes[name]]),
            ["time", attributes.time && time(attributes.time)],
            ["taken in", story.accepted_at && time(story.accepted_at)],
            ...origin(story.origin),
          ]),
          json(story.event, { label: "Before the transforms" }),
        ),
        routes(story),
        h("section", {}, h("h2", {}, "Executions"), story.executions.map(execution)),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  };
  await refresh();
  onChange(refresh, signal);
  // Attempts change no count.
  every(2000, () => running && refresh(), signal);
}
