// Nodes, their links and their actors.
import { el, set_bar, set_mark, set_text } from "./dom.js";
import { bytes, count, lasting, percent, rate } from "./format.js";
import { links_of } from "./map.js";
import { make_table } from "./table.js";

const status = (row) => row.part.status ?? {};
const machine = (row) => status(row).machine ?? {};
const machine_columns = [
  { title: "CPU", value: (row) => machine(row).cpu_share ?? NaN,
    draw: (cell, row) => set_bar(cell, row.part.up ? `${percent(machine(row).cpu_share)} of ${status(row).cores ?? "?"} cores` : "–", row.part.up ? machine(row).cpu_share : NaN, "good") },
  { title: "memory", value: (row) => status(row).memory_bytes_used ?? NaN,
    draw: (cell, row) => set_bar(cell, row.part.up ? `${bytes(status(row).memory_bytes_used)} of ${bytes(status(row).memory_bytes)}` : "–",
                                 row.part.up ? status(row).memory_bytes_used / status(row).memory_bytes : NaN) },
];

export function make_machines_panel() {
  const table = make_table({ name: "Machines", key: (row) => row.part.node, empty: "No node has been heard.", filter: false, head: false,
                             columns: [{ title: "node", value: (row) => row.part.node }, ...machine_columns] });
  table.root.classList.add("brief");
  return { root: table.root, show: (state) => table.show(state.nodes) };
}

export function make_nodes_view({ drain }) {
  const nodes = make_table({
    name: "Nodes", key: (row) => row.part.node, empty: "No node has been heard.",
    columns: [
      { title: "node", value: (row) => row.part.node },
      { title: "health", value: (row) => row.word, draw: (cell, row) => set_mark(cell, row.word) },
      { title: "running", number: true, value: (row) => row.load.running },
      { title: "waiting", number: true, value: (row) => row.load.waiting },
      { title: "tokens/s", number: true, value: (row) => row.part.tokens_per_second, text: (row) => (row.part.up ? count(row.part.tokens_per_second) : "–") },
      { title: "first token P99", number: true, value: (row) => status(row).jobs?.first_token_seconds?.p99 ?? NaN,
        text: (row) => (status(row).jobs?.first_token_seconds?.count ? lasting(status(row).jobs.first_token_seconds.p99) : "–") },
      ...machine_columns,
      { title: "daemon", wide: true, number: true, value: (row) => machine(row).process_bytes ?? NaN, text: (row) => bytes(machine(row).process_bytes) },
      { title: "disk free", wide: true, number: true, value: (row) => status(row).disk_bytes_free ?? NaN, text: (row) => bytes(status(row).disk_bytes_free) },
      { title: "heard", wide: true, number: true, value: (row) => row.part.age_ms, text: (row) => (row.part.age_ms < 1500 ? "now" : `${lasting(row.part.age_ms / 1000)} ago`) },
      { title: "up since", wide: true, number: true, value: (row) => status(row).uptime_ms ?? NaN, text: (row) => (row.part.up ? lasting(status(row).uptime_ms / 1000) : "–") },
      { title: "version", wide: true, value: (row) => status(row).version ?? "" },
    ],
  });
  const links = make_table({
    name: "Links", key: (row) => `${row.a} ${row.b}`, empty: "No node has a link to another.",
    columns: [
      { title: "between", value: (row) => `${row.a} – ${row.b}` },
      { title: "state", value: (row) => (row.up ? "ok" : "down"), draw: (cell, row) => set_mark(cell, row.up ? "ok" : "down", row.up ? "up" : "down") },
      { title: "round trip", number: true, value: (row) => row.round_trip_us, text: (row) => (row.up ? lasting(row.round_trip_us / 1e6) : "–") },
      { title: "both ways", number: true, value: (row) => row.bytes_per_second, text: (row) => rate(row.bytes_per_second) },
    ],
  });
  const actors = make_table({
    name: "Actors", key: (row) => `${row.node} ${row.actor.name}`, empty: "No actor has been told.", sort: 4, descending: true,
    columns: [
      { title: "actor", value: (row) => row.actor.name },
      { title: "node", value: (row) => row.node },
      { title: "state", value: (row) => (row.actor.alive ? "ok" : "down"), draw: (cell, row) => set_mark(cell, row.actor.alive ? "ok" : "down", row.actor.alive ? "runs" : "down") },
      { title: "mailbox", number: true, value: (row) => row.actor.mailbox_depth },
      { title: "busy", value: (row) => row.actor.busy_share, draw: (cell, row) => set_bar(cell, percent(row.actor.busy_share), row.actor.busy_share) },
      { title: "messages/s", number: true, value: (row) => row.actor.messages_per_second, text: (row) => count(row.actor.messages_per_second) },
      { title: "each takes", number: true, value: (row) => row.actor.handling_us, text: (row) => lasting(row.actor.handling_us / 1e6) },
      { title: "restarts", number: true, value: (row) => row.actor.restarts },
      { title: "dropped", wide: true, number: true, value: (row) => row.actor.dropped },
    ],
  });
  const asked = el("button", { type: "button", class: "danger", onclick: () => drain(own) });
  const words = el("span", { class: "muted", text: "A drained node takes no new work, lets its jobs end or move, and stops. Other nodes are drained at their own console." });
  const about = el("p", { class: "panel", role: "status", hidden: true });
  let own = "", chosen = "";
  const root = el("div");
  root.append(about, nodes.root, el("section", { class: "panel row", "aria-label": "Drain this node" }, asked, words), links.root, actors.root);
  root.style.display = "contents";
  return {
    root,
    mark(node) {
      chosen = node;
      nodes.mark(node);
    },
    show(state) {
      const one = state.nodes.find((node) => node.part.node === chosen);
      about.hidden = !one;
      if (one) set_mark(about, one.word, one.why || `${chosen} is well: ${one.load.running} running, ${one.load.waiting} waiting`);
      own = state.picture.answered_by;
      const part = state.picture.nodes.find((one) => one.node === own);
      set_text(asked, part?.draining ? `${own} is being drained` : `Drain ${own}…`);
      asked.disabled = Boolean(part?.draining);
      nodes.show(state.nodes);
      links.show(links_of(state.nodes));
      actors.show(state.picture.nodes.filter((one) => one.up).flatMap((one) => (one.status?.actors ?? []).map((actor) => ({ node: one.node, actor }))));
    },
  };
}
