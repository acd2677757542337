// Calls of the HTTP API.

import { csrf } from "./session.js";

/** What the API answers when it does not do what it is asked for. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.message ?? `the server answers ${status}`);
    this.status = status;
    this.mistakes = problem?.errors ?? [];
  }

  /** All that is wrong, for people. */
  get text() {
    const mistakes = Array.isArray(this.mistakes)
      ? this.mistakes.map((mistake) => `${mistake.path ?? mistake.attribute ?? ""} ${mistake.rule ?? ""}`.trim())
      : Object.entries(this.mistakes).map(([field, rules]) => `${field}: ${[rules].flat().join(", ")}`);
    return [this.message, ...mistakes].join("\n");
  }
}

/** A path of these segments, each percent-encoded. */
export function path(...segments) {
  return `/${segments.map(encodeURIComponent).join("/")}`;
}

let onSignedOut = () => {};

/** What is to happen when somebody has to sign in. */
export function whenSignedOut(listener) {
  onSignedOut = listener;
}

async function call(method, url, { query, body, signal, type = "application/json" } = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = type;
  if (method !== "GET" && csrf()) headers["x-segno-csrf"] = csrf();
  const asked = search.size ? `${url}?${search}` : url;
  let reply;
  try {
    reply = await fetch(asked, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { detail: "the server does not answer" });
  }
  const text = await reply.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    value = { detail: text.slice(0, 300) };
  }
  if (reply.status === 401) onSignedOut();
  if (!reply.ok) throw new Refused(reply.status, value);
  return value;
}

export const get = (url, query, signal) => call("GET", url, { query, signal });
export const post = (url, body = {}, type) => call("POST", url, { body, type });
export const put = (url, body) => call("PUT", url, { body });
export const remove = (url) => call("DELETE", url);
