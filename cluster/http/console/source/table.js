// A table that can be sorted, filtered and kept up to date: rows keep their elements, cells are written where they differ.
import { el, set_attribute, set_text } from "./dom.js";

const ROWS_AT_FIRST = 60, ROWS_MORE = 440;  // laying out hundreds of rows each second is what would make a page stutter
const words = new Intl.Collator(undefined, { numeric: true });

// columns: {title, value(row) to sort by, text(row) or draw(cell, row), wide (left out on narrow screens), number}
export function make_table({ name, columns, key, empty, filter = true, sort = 0, descending = false, head = true }) {
  const body = el("tbody"), count = el("span", { class: "muted", role: "status" });
  const nothing = el("p", { class: "muted empty", text: empty });
  const buttons = columns.map((column, at) => el("button", { type: "button", text: column.title, onclick: () => order_by(at) }));
  const heads = columns.map((column, at) => el("th", { scope: "col", class: classes(column) }, buttons[at]));
  const table = el("table", {}, el("caption", { class: "unseen", text: name }), el("thead", {}, el("tr", {}, heads)), body);
  const box = el("input", { type: "search", placeholder: "filter", "aria-label": `Filter ${name}`, oninput: () => draw() });
  const more = el("button", { type: "button", hidden: true, onclick: () => { most += ROWS_MORE; draw(); } });
  const root = el("section", { class: "panel", "aria-label": name },
    head && el("div", { class: "head" }, el("h3", { text: name }), count, filter && box),
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${name}, table` }, table), more, nothing);
  const known = new Map();
  let most = ROWS_AT_FIRST, marked = "", rows = [], by = sort, down = descending;

  function classes(column) {
    return [column.wide && "wide", column.number && "number"].filter(Boolean).join(" ") || null;
  }
  function order_by(at) {
    down = by === at ? !down : Boolean(columns[at].number);
    by = at;
    draw();
  }
  function compare(a, b) {
    const x = a.by, y = b.by;
    const order = typeof x === "number" && typeof y === "number"
      ? (Number.isNaN(x) ? -Infinity : x) - (Number.isNaN(y) ? -Infinity : y) || 0 : words.compare(x, y);
    return (down ? -order : order) || (a.id < b.id ? -1 : 1);
  }
  function row_of(row) {
    const id = key(row);
    let line = known.get(id);
    if (!line) {
      const cells = columns.map((column, at) => el(at === 0 ? "th" : "td", { scope: at === 0 ? "row" : null, class: classes(column) }));
      line = { tr: el("tr", {}, cells), cells };
      known.set(id, line);
    }
    columns.forEach((column, at) => {
      if (column.draw) column.draw(line.cells[at], row);
      else set_text(line.cells[at], String(column.text ? column.text(row) : column.value(row)));
    });
    set_attribute(line.tr, "aria-current", marked !== "" && id === marked ? "true" : null);
    return line.tr;
  }
  function draw() {
    const wanted = box.value.trim().toLowerCase();
    const fits = (row) => columns.some((column) => String(column.text ? column.text(row) : column.value(row)).toLowerCase().includes(wanted));
    const chosen = (wanted ? rows.filter(fits) : rows).map((row) => ({ row, id: key(row), by: columns[by].value(row) })).sort(compare);
    const shown = chosen.slice(0, most).map((one) => one.row), lines = shown.map(row_of);
    heads.forEach((cell, at) => set_attribute(cell, "aria-sort", at === by ? (down ? "descending" : "ascending") : null));
    lines.forEach((tr, at) => {
      if (body.children[at] !== tr) body.insertBefore(tr, body.children[at] ?? null);
    });
    while (body.children.length > lines.length) body.lastChild.remove();
    if (known.size > 2 * lines.length + 64) {
      const kept = new Set(shown.map(key));
      for (const id of known.keys()) if (!kept.has(id)) known.delete(id);
    }
    set_text(count, chosen.length === rows.length && shown.length === chosen.length ? String(rows.length)
                    : `${shown.length} of ${rows.length}`);
    more.hidden = chosen.length <= shown.length;
    set_text(more, `Show ${Math.min(ROWS_MORE, chosen.length - shown.length)} more`);
    nothing.hidden = shown.length > 0;
    table.parentElement.hidden = shown.length === 0;
    set_text(nothing, rows.length > 0 && shown.length === 0 ? `None of ${rows.length} contains “${box.value}”.` : empty);
  }
  return { root, show(next) { rows = next; draw(); }, mark(id) { marked = id; } };
}
