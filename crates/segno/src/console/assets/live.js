// The figures of `/live`, one connection for all pages, with those of the last two minutes.

const KEPT = 120;
const listeners = new Set();
const history = [];
let source = null;
let state = "connecting";
let why = "";

export function past() {
  return history;
}

export function latest() {
  return history.at(-1) ?? null;
}

export function liveState() {
  return { state, why };
}

/** Calls `listener` with each new overview, and with null when there is none, until the signal is aborted. */
export function listen(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}

function tell(overview) {
  for (const listener of [...listeners]) listener(overview);
}

function set(next, reason = "") {
  state = next;
  why = reason;
}

export function connect() {
  source?.close();
  source = new EventSource("/live");
  source.addEventListener("overview", (message) => {
    set("live");
    history.push(JSON.parse(message.data));
    if (history.length > KEPT) history.shift();
    tell(latest());
  });
  source.addEventListener("unavailable", (message) => {
    set("unavailable", JSON.parse(message.data));
    tell(null);
  });
  source.addEventListener("error", () => {
    set("connecting", "the server does not answer");
    tell(null);
    // A browser tries again by itself, but not after an answer that is an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}

// Who does not look needs nothing read.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    source?.close();
    source = null;
  } else if (!source) {
    connect();
  }
});
