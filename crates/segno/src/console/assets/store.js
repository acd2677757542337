// What is remembered in this browser. A browser may refuse to remember; then a setting holds until the page is left.

const PREFIX = "segno.";
const fallback = new Map();

export function load(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? (fallback.get(name) ?? otherwise) : JSON.parse(text);
  } catch {
    return fallback.get(name) ?? otherwise;
  }
}

export function save(name, value) {
  fallback.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // It is remembered above.
  }
}
