// The visibility query language.

/** A text as the language has it. */
export function quoted(text) {
  return `'${String(text).replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Conditions joined: `[attribute, operator, value]`; those without a value are left out. */
export function all(conditions) {
  return conditions
    .filter(([, , value]) => value !== undefined && value !== null && String(value).trim() !== "")
    .map(([attribute, operator, value]) => `${attribute} ${operator} ${quoted(String(value).trim())}`)
    .join(" AND ");
}

/** What an input for local times has, as the language wants it. */
export function moment(local) {
  if (!local) return "";
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}
