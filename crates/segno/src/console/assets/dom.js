// Making elements. Whatever comes from outside becomes text: there is no way in here from a string to markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: `h("a", { href, class: "x", on: { click } }, "text", child, [more])`. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "value" && "value" in element) {
      element.value = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Puts these children in place of an element's own. Focus within stays where it can: on what has the same `data-keep`. */
export function replace(element, ...children) {
  const kept = document.activeElement?.dataset?.keep;
  const inside = kept && element.contains(document.activeElement);
  const part = document.createDocumentFragment();
  add(part, children);
  element.replaceChildren(part);
  if (inside) {
    for (const candidate of element.querySelectorAll("[data-keep]")) {
      if (candidate.dataset.keep === kept) {
        candidate.focus();
        break;
      }
    }
  }
}
