// Elements out of descriptions. Text is always inserted as text: nothing here reads HTML.
const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const el = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
export const by_id = (id) => document.getElementById(id);

// Written only where it differs: the browser lays out nothing for what stays.
export function set_text(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
export function set_attribute(element, name, value) {
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

// A shape, and so not a colour alone, for each word of health.
const SHAPES = {
  ok: ["circle", { cx: 8, cy: 8, r: 5 }],
  down: ["path", { d: "M3 3l10 10M13 3L3 13", class: "stroke" }],
  slow: ["path", { d: "M8 2l7 12H1z" }],
  warn: ["path", { d: "M8 2l7 12H1z" }],
  bad: ["path", { d: "M3 3l10 10M13 3L3 13", class: "stroke" }],
  silent: ["circle", { cx: 8, cy: 8, r: 5, class: "stroke" }],
  quiet: ["circle", { cx: 8, cy: 8, r: 4.5, class: "stroke" }],
  suspect: ["path", { d: "M8 1.5L14.5 8 8 14.5 1.5 8z", class: "stroke" }],
  draining: ["path", { d: "M3 4h10v3H3zM3 9h10v3H3z" }],
};
export function shape(word) {
  const [tag, attributes] = SHAPES[word] ?? SHAPES.silent;
  return svg("svg", { viewBox: "0 0 16 16", class: `shape ${tone_of(word)}`, "aria-hidden": "true" }, svg(tag, attributes));
}
export const tone_of = (word) => (word === "ok" ? "ok" : word === "down" || word === "bad" ? "bad" : word === "quiet" ? "muted" : "warn");

export function mark(word, text = word) {
  return el("span", { class: `mark ${tone_of(word)}` }, shape(word), el("span", { text }));
}
// Redrawn only where the word changed.
export function set_mark(holder, word, text = word) {
  const key = `${word}|${text}`;
  if (holder.dataset.mark === key) return;
  holder.dataset.mark = key;
  holder.replaceChildren(mark(word, text));
}

// A thin bar beside its words; the words carry the meaning.
export function set_bar(holder, words, share, tone = "") {
  if (!holder.firstChild) holder.append(el("span", { class: "words" }), el("span", { class: "bar", "aria-hidden": "true" }, el("i")));
  set_text(holder.firstChild, words);
  const bar = holder.lastChild;
  bar.hidden = !Number.isFinite(share);
  if (bar.hidden) return;
  const width = `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
  if (bar.firstChild.style.width !== width) bar.firstChild.style.width = width;
  set_attribute(bar, "class", `bar ${tone || (share > 0.95 ? "bad" : share > 0.85 ? "warn" : "")}`.trim());
}
