// Six plots of the last 15 minutes: all of /history once, then its newest seconds, again and again, while they are looked at.
import uPlot from "uplot";
import { el, set_text } from "./dom.js";
import { bytes, count, lasting, percent, rate } from "./format.js";
import { make_store } from "./history_store.js";

const ASK_EACH_MS = 4000, LINES_MAX = 8, worst = (values) => Math.max(...values);
const COLOURS = ["#2f7fbf", "#d1822a", "#1a9a66", "#a368c9", "#c2497a", "#7a8a1f", "#2aa3a3", "#9a6a4a"];
const SHADES = { P50: "#1a9a66", P95: "#d1962a", P99: "#d0503f" };

const PLOTS = [
  { title: "Answer tokens per second", names: ["tokens_per_second"], shown: count, least: 10 },
  { title: "First token after (worst gateway)", shown: lasting, least: 0.1, parts: { P50: "first_token_p50_seconds", P95: "first_token_p95_seconds", P99: "first_token_p99_seconds" } },
  { title: "Jobs running", names: ["jobs_running"], shown: count, least: 2 },
  { title: "CPU", names: ["cpu_share"], shown: percent, top: 1 },
  { title: "Memory of the daemons", names: ["process_bytes"], shown: bytes, least: 2 ** 20 },
  { title: "Links, both ways", names: ["link_sent_per_second", "link_received_per_second"], shown: rate, least: 1024 },
];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function make_plot(plot, with_times) {
  const key = el("span", { class: "row" }), holder = el("div", { class: "plot", role: "img" });
  const root = el("figure", { class: "panel" }, el("figcaption", {}, el("b", { text: plot.title }), key), holder);
  let chart = null, kind = "", labels = [];

  function write_key(at) {
    const index = at ?? last_index(chart.data);
    labels.forEach((label, i) => {
      const value = chart.data[i + 1][index];
      set_text(label, `${label.dataset.name} ${value === null || value === undefined ? "–" : plot.shown(value)}`);
    });
  }
  function build(lines, data) {
    chart?.destroy();
    labels = lines.map((line) => el("span", { text: line.name, "data-name": line.name }));
    key.replaceChildren(...lines.map((line, i) => {
      const dash = el("i", { "aria-hidden": "true" });
      dash.style.background = line.colour;
      return el("span", { class: "key" }, dash, labels[i]);
    }));
    const axis = { stroke: css("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
    chart = new uPlot({
      width: holder.clientWidth || 300, height: 150, legend: { show: false }, padding: [8, 8, 0, 0],
      cursor: { sync: { key: "history" }, drag: { x: false, y: false }, points: { size: 5 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, plot.top ?? Math.max(high * 1.1, plot.least)] } },
      axes: [{ ...axis, size: 22, space: 70, values: "{HH}:{mm}" },
             { ...axis, size: 64, space: 34, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : plot.shown(tick))) }],
      series: [{}, ...lines.map((line) => ({ stroke: line.colour, width: 1.5, spanGaps: false, points: { show: false } }))],
      hooks: { setCursor: [(of) => write_key(of.cursor.idx)] },
    }, data, holder);
  }
  function draw(lines, again) {
    const data = [with_times(), ...lines.map((line) => line.values)];
    const wanted = JSON.stringify(lines.map((line) => [line.name, line.colour]));
    if (again || !chart || wanted !== kind) build(lines, data);
    else chart.setData(data);
    kind = wanted;
    write_key(chart.cursor.idx);
    holder.setAttribute("aria-label", `${plot.title}, the last 15 minutes. ${lines.map((line) => spoken(line, plot.shown)).join("; ")}`);
  }
  new ResizeObserver(() => {
    if (chart && holder.clientWidth && chart.width !== holder.clientWidth) chart.setSize({ width: holder.clientWidth, height: 150 });
  }).observe(holder);
  return { root, draw };
}

function last_index(data) {
  for (let i = data[0].length - 1; i > data[0].length - 6; --i)
    if (data.slice(1).some((line) => line[i] !== null)) return i;
  return data[0].length - 1;
}

function spoken(line, shown) {
  const there = line.values.filter((value) => value !== null);
  return there.length ? `${line.name}: now ${shown(there.at(-1))}, between ${shown(Math.min(...there))} and ${shown(Math.max(...there))}` : `${line.name}: nothing measured`;
}

export function make_plots(read) {
  const store = make_store(), plots = PLOTS.map((plot) => make_plot(plot, store.times));
  const pick = el("select", { "aria-label": "Node that is plotted", onchange: () => draw() }, el("option", { value: "", text: "all nodes" }));
  const said = el("span", { class: "muted", role: "status" });
  const root = el("section", { "aria-label": "The last 15 minutes" },
    el("div", { class: "row" }, el("h2", { text: "The last 15 minutes" }), el("label", { class: "field" }, "of ", pick), said),
    el("div", { class: "plots" }, plots.map((plot) => plot.root)));
  root.querySelector(".plots").style.marginTop = "8px";
  let asked_at = -Infinity, whole_at = -Infinity, asking = false;

  function draw(again = false) {
    if (store.empty()) return;
    const all = store.nodes();
    const options = ["", ...all].join("\n");
    if (pick.dataset.options !== options) {
      pick.dataset.options = options;
      const chosen = pick.value;
      pick.replaceChildren(el("option", { value: "", text: "all nodes" }), ...all.map((node) => el("option", { value: node, text: node })));
      pick.value = all.includes(chosen) ? chosen : "";
    }
    const of = pick.value ? [pick.value] : all;
    PLOTS.forEach((plot, i) => {
      const lines = plot.parts
        ? Object.entries(plot.parts).map(([name, series]) => ({ name, colour: SHADES[name], values: store.line(of, [series], worst) }))
        : of.slice(0, LINES_MAX).map((node) => ({ name: node, colour: COLOURS[all.indexOf(node) % COLOURS.length], values: store.line([node], plot.names, worst) }));
      plots[i].draw(lines, again);
    });
    set_text(said, of.length > LINES_MAX ? `the first ${LINES_MAX} of ${of.length} nodes; choose another above` : "");
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  return {
    root,
    async show() {
      const now = performance.now();
      if (asking || now - asked_at < ASK_EACH_MS) return;
      const gap_s = Math.ceil((now - whole_at) / 1000), whole = gap_s > 60;
      asking = true;
      asked_at = now;
      try {
        store.add(await read(`/v1/monitoring/history?seconds=${whole ? 900 : gap_s + 12}`));
        whole_at = now;
        draw();
      } catch (failure) {
        set_text(said, `No history: ${failure.message}`);
      }
      asking = false;
    },
  };
}
