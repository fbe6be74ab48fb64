// The cluster drawn: a plate for each node, a line for each pair of nodes with a link.
import { el, set_attribute, set_text, shape, svg, tone_of } from "./dom.js";
import { count, lasting, rate } from "./format.js";

const LABELS_MAX = 6;    // lines that are labelled without being asked
const LINES_MAX = 200;
const PLATES_MAX = 12;   // beyond, nodes are small marks

// One line for each pair, the better of both ends' words.
export function links_of(nodes) {
  const known = new Map(nodes.map((node) => [node.part.node, node]));
  const lines = new Map();
  for (const { part } of nodes)
    for (const link of part.status?.links ?? []) {
      if (!known.has(link.peer) || link.peer === part.node) continue;
      const [a, b] = [part.node, link.peer].sort();
      const line = lines.get(`${a} ${b}`) ?? { a, b, up: false, round_trip_us: 0, bytes_per_second: 0 };
      const alive = link.up && part.up && known.get(link.peer).part.up;
      line.up ||= alive;
      if (alive) {
        line.round_trip_us = Math.max(line.round_trip_us, link.round_trip_us);
        line.bytes_per_second = Math.max(line.bytes_per_second, link.bytes_sent_per_second + link.bytes_received_per_second);
      }
      lines.set(`${a} ${b}`, line);
    }
  return [...lines.values()];
}

// On a narrow screen two columns, so that words stay as large as elsewhere.
function places(nodes, narrow) {
  if (narrow) {
    const pair = nodes.length <= 2, small = nodes.length > PLATES_MAX, h = small ? 30 : 76, step = pair ? 150 : h + 24;
    const rows = pair ? nodes.length : Math.ceil(nodes.length / 2);
    return { width: 330, height: rows * step - (step - h) + 8, w: 150, h, at: nodes.map((_, i) => (pair ? [165, 4 + h / 2 + i * step] : [79 + 172 * (i % 2), 4 + h / 2 + step * Math.floor(i / 2)])) };
  }
  const small = nodes.length > PLATES_MAX, w = small ? 96 : 176, h = small ? 30 : 76;
  if (nodes.length <= 2) return { width: 560, height: 130, w, h, at: nodes.map((_, i) => [nodes.length === 1 ? 280 : 100 + 360 * i, 65]) };
  const width = small ? 1000 : 640, height = small ? 640 : 400, rx = (width - w) / 2 - 12, ry = (height - h) / 2 - 10;
  return { width, height, w, h, at: nodes.map((_, i) => {
    const turn = (2 * Math.PI * i) / nodes.length - Math.PI / 2;
    return [width / 2 + rx * Math.cos(turn), height / 2 + ry * Math.sin(turn)];
  }) };
}

// Of very many links, those that are down and those of the node that is asked.
function worth_drawing(lines, own) {
  return lines.length <= LINES_MAX ? lines : lines.filter((line) => !line.up || line.a === own || line.b === own).slice(0, LINES_MAX);
}

export function make_map() {
  const canvas = svg("svg", { role: "group", "aria-label": "Nodes and their links" });
  const words = el("p", { class: "muted" });
  const root = el("section", { class: "panel map", "aria-label": "Cluster map" }, el("div", { class: "head" }, el("h3", { text: "Cluster" }), words), canvas);
  let plan = "", pieces = null;

  function lay(nodes, lines, narrow) {
    const { width, height, w, h, at } = places(nodes, narrow);
    const small = nodes.length > PLATES_MAX, where = new Map(nodes.map((node, i) => [node.part.node, at[i]]));
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    pieces = { edges: new Map(), plates: new Map() };
    const edges = lines.map((line) => {
      const [x1, y1] = where.get(line.a), [x2, y2] = where.get(line.b);
      const edge = svg("line", { x1, y1, x2, y2, class: "edge" }), title = svg("title");
      const label = lines.length <= (narrow ? 1 : LABELS_MAX) ? [0, 1].map((row) => svg("text", {
        x: (x1 + x2) / 2 + (narrow ? 12 : 0), y: (y1 + y2) / 2 - 9 + (narrow ? 17 : 28) * row + (narrow ? 4 : 0), "text-anchor": narrow ? "start" : "middle", class: "small halo" })) : [];
      pieces.edges.set(`${line.a} ${line.b}`, { edge, label, title });
      return svg("g", {}, edge, title, ...label);
    });
    const plates = nodes.map((node, i) => {
      const [x, y] = at[i], left = x - w / 2, top = y - h / 2;
      const holder = svg("g", { transform: `translate(${left + 9} ${top + (small ? 9 : 12)})` });
      const line = (row, css) => svg("text", { x: left + (row === 0 || small ? 27 : 12), y: top + (small ? 20 : 23 + 20 * row), class: css });
      const name = line(0, "name"), word = line(1, "word small"), load = line(2, "small");
      const link = svg("a", { href: `#node=${encodeURIComponent(node.part.node)}` },
        svg("rect", { x: left, y: top, width: w, height: h, rx: 9, class: "plate" }), holder, name, ...(small ? [] : [word, load]));
      pieces.plates.set(node.part.node, { link, holder, name, word, load, said: "" });
      return link;
    });
    canvas.replaceChildren(...edges, ...plates);
  }

  function draw(nodes, own) {
    const links = links_of(nodes), lines = worth_drawing(links, own), narrow = canvas.clientWidth > 0 && canvas.clientWidth < 460;
    const wanted = JSON.stringify([narrow, nodes.map((node) => node.part.node), lines.map((line) => [line.a, line.b])]);
    if (wanted !== plan) lay(nodes, lines, narrow);
    plan = wanted;
    for (const line of lines) {
      const { edge, label, title } = pieces.edges.get(`${line.a} ${line.b}`);
      set_attribute(edge, "class", line.up ? "edge" : "edge down");
      set_attribute(edge, "stroke-width", (1.5 + Math.min(6, Math.log2(1 + line.bytes_per_second / 2048))).toFixed(1));
      const said = line.up ? [`${lasting(line.round_trip_us / 1e6)} there and back`, rate(line.bytes_per_second)] : ["link down", ""];
      set_text(title, `${line.a} – ${line.b}: ${said.join(", ")}`);
      label.forEach((text, row) => set_text(text, said[row]));
    }
    for (const node of nodes) {
      const { part, load, word } = node, piece = pieces.plates.get(part.node);
      if (piece.said !== word) {
        const drawn = shape(word);
        drawn.setAttribute("width", 12);
        drawn.setAttribute("height", 12);
        piece.holder.replaceChildren(drawn);
      }
      piece.said = word;
      set_attribute(piece.link, "class", tone_of(word));
      set_text(piece.name, part.node.length > 20 ? `${part.node.slice(0, 19)}…` : part.node);
      set_text(piece.word, word === "ok" ? `ok, ${count(part.tokens_per_second)} tokens/s` : word);
      set_text(piece.load, part.up ? `${load.running} running, ${load.waiting} waiting` : `heard ${lasting(part.age_ms / 1000)} ago`);
      set_attribute(piece.link, "aria-label", `${part.node}: ${word}${node.why ? `. ${node.why}` : ""}, ${load.running} running, ${load.waiting} waiting`);
    }
    set_text(words, nodes.length > PLATES_MAX ? `${nodes.length} nodes${lines.length < links.length ? `; of ${links.length} links those of ${own} and those that are down` : ""}` : "");
  }
  return { root, show: (state) => draw(state.nodes.slice(0, 64), state.picture.answered_by) };
}
