// Who uses the console, and what they may do.

const RANKS = { viewer: 1, operator: 2, admin: 3 };

let session = { name: "", role: "viewer", csrf: null };

export function who() {
  return session;
}

/** Whether the reader has this role, or one that may do more. */
export function can(role) {
  return (RANKS[session.role] ?? 0) >= RANKS[role];
}

/** What a change has to bring, where a cookie says who makes it. */
export function csrf() {
  return session.csrf;
}

/** Asks the server. Null: somebody has to sign in. */
export async function loadSession() {
  const reply = await fetch("/session", { headers: { accept: "application/json" } });
  if (reply.status === 401) return null;
  if (!reply.ok) throw new Error(`the server answers ${reply.status} to who you are`);
  const told = await reply.json();
  session = {
    name: told.name,
    role: told.role,
    csrf: told.csrf ?? null,
  };
  return session;
}
