// Models, engines, devices and caches.
import { el, set_bar, set_mark, set_text } from "./dom.js";
import { bytes, count, percent, plain, share, short_digest } from "./format.js";
import { make_table } from "./table.js";

const state_word = { ready: "ok", model_failed: "bad", on_disk: "quiet", loading: "warn", fetching: "warn" };

export function make_models_view() {
  const of_nodes = (state, list) => state.picture.nodes.filter((part) => part.up).flatMap((part) => (list(part) ?? []).map((one) => ({ node: part.node, part, one })));
  const models = make_table({
    name: "Models", key: (row) => `${row.node} ${row.one.name} ${row.one.digest}`, empty: "No node has a model file. Put a GGUF file into a folder of models.directories.",
    columns: [
      { title: "model", value: (row) => row.one.name },
      { title: "node", value: (row) => row.node },
      { title: "state", value: (row) => row.one.state, draw: (cell, row) => set_mark(cell, state_word[row.one.state] ?? "quiet", plain(row.one.state, "model")) },
      { title: "in memory", value: (row) => row.one.weight_bytes + row.one.kv_bytes,
        draw: (cell, row) => set_bar(cell, row.one.state === "fetching" ? `${bytes(row.one.fetched_bytes)} of ${bytes(row.one.size_bytes)} fetched`
          : row.one.weight_bytes ? `${bytes(row.one.weight_bytes)} weights, ${bytes(row.one.kv_bytes)} KV` : "–",
          row.one.state === "fetching" ? share(row.one.fetched_bytes, row.one.size_bytes)
          : row.one.weight_bytes ? share(row.one.weight_bytes + row.one.kv_bytes, row.part.status.memory_bytes) : NaN) },
      { title: "parameters", number: true, value: (row) => row.one.parameters, text: (row) => count(row.one.parameters) },
      { title: "context", number: true, wide: true, value: (row) => row.one.context_tokens },
      { title: "kind", wide: true, value: (row) => `${row.one.architecture} ${row.one.quantization}` },
      { title: "engine", wide: true, value: (row) => [row.one.engine, row.one.variant, ...(row.one.stages ?? []).map((part) => `${part.layers} layers at ${part.node}`)].filter(Boolean).join(" ") },
      { title: "file", wide: true, value: (row) => short_digest(row.one.digest) },
      { title: "why not", value: (row) => row.one.failure },
    ],
  });
  const engines = make_table({
    name: "Engines", key: (row) => `${row.node} ${row.one.model_digest}`, empty: "No engine runs: no model is loaded.", filter: false,
    columns: [
      { title: "model", value: (row) => row.part.status?.models?.find((model) => model.digest === row.one.model_digest)?.name ?? short_digest(row.one.model_digest) },
      { title: "node", value: (row) => row.node },
      { title: "running", number: true, value: (row) => row.one.running },
      { title: "waiting", number: true, value: (row) => row.one.waiting },
      { title: "KV blocks", value: (row) => share(row.one.kv_blocks_used, row.one.kv_blocks),
        draw: (cell, row) => set_bar(cell, `${count(row.one.kv_blocks_used)} of ${count(row.one.kv_blocks)} used, ${count(row.one.kv_blocks_reusable)} kept`,
                                     share(row.one.kv_blocks_used, row.one.kv_blocks)) },
      { title: "prompt tokens held already", value: (row) => share(row.one.prefix_tokens_hit, row.one.prefix_tokens_asked),
        draw: (cell, row) => set_bar(cell, percent(share(row.one.prefix_tokens_hit, row.one.prefix_tokens_asked)), share(row.one.prefix_tokens_hit, row.one.prefix_tokens_asked), "good") },
      { title: "preempted", number: true, wide: true, value: (row) => row.one.preemptions },
    ],
  });
  const devices = make_table({
    name: "Devices", key: (row) => `${row.node} ${row.one.key}`, empty: "No node has told a device.", filter: false,
    columns: [
      { title: "device", value: (row) => row.one.name },
      { title: "node", value: (row) => row.node },
      { title: "memory", value: (row) => row.one.used, draw: (cell, row) => set_bar(cell, `${bytes(row.one.used)} of ${bytes(row.one.all)}`, share(row.one.used, row.one.all)) },
      { title: "busy", value: (row) => row.one.busy, draw: (cell, row) => set_bar(cell, percent(row.one.busy), row.one.busy, "good") },
      { title: "temperature", number: true, value: (row) => row.one.celsius ?? NaN, text: (row) => (row.one.celsius ? `${row.one.celsius} °C` : "–") },
      { title: "power", number: true, wide: true, value: (row) => row.one.watts ?? NaN, text: (row) => (row.one.watts ? `${Math.round(row.one.watts)} W` : "–") },
      { title: "clock", number: true, wide: true, value: (row) => row.one.clock_mhz ?? NaN, text: (row) => (row.one.clock_mhz ? `${row.one.clock_mhz} MHz` : "–") },
    ],
  });
  const caches = make_table({
    name: "Answer caches", key: (row) => `${row.node} ${row.one.name}`, empty: "No node has a cache.", filter: false,
    columns: [
      { title: "tier", value: (row) => row.one.name },
      { title: "node", value: (row) => row.node },
      { title: "state", value: (row) => tier_word(row.one), draw: (cell, row) => set_mark(cell, tier_word(row.one) === "down" ? "down" : tier_word(row.one) === "off" ? "quiet" : "ok", tier_word(row.one)) },
      { title: "hit rate", value: (row) => share(row.one.hits, row.one.hits + row.one.misses),
        draw: (cell, row) => set_bar(cell, row.one.hits + row.one.misses ? `${percent(share(row.one.hits, row.one.hits + row.one.misses))} of ${count(row.one.hits + row.one.misses)}` : "not asked yet",
                                     share(row.one.hits, row.one.hits + row.one.misses), "good") },
      { title: "held", value: (row) => row.one.bytes,
        draw: (cell, row) => set_bar(cell, row.one.bytes_max ? `${bytes(row.one.bytes)} of ${bytes(row.one.bytes_max)}` : bytes(row.one.bytes), row.one.bytes_max ? row.one.bytes / row.one.bytes_max : NaN, "good") },
      { title: "answers", number: true, value: (row) => row.one.entries },
      { title: "stored", number: true, wide: true, value: (row) => row.one.stores },
      { title: "evicted", number: true, wide: true, value: (row) => row.one.evictions },
      { title: "errors", number: true, value: (row) => row.one.errors },
      { title: "corrupt", number: true, wide: true, value: (row) => row.one.corrupt },
    ],
  });
  const root = el("div", {}, models.root, engines.root, devices.root, caches.root);
  root.style.display = "contents";
  return {
    root,
    show(state) {
      models.show(of_nodes(state, (part) => part.status?.models));
      engines.show(of_nodes(state, (part) => part.engines));
      devices.show(of_nodes(state, devices_of));
      caches.show(of_nodes(state, (part) => part.status?.cache?.tiers));
    },
  };
}

const tier_word = (tier) => (!tier.enabled ? "off" : tier.available ? "ok" : "down");

// The processor of a node first, then its GPUs.
function devices_of(part) {
  const status = part.status ?? {};
  return [{ key: "cpu", name: `CPU, ${status.cores} cores`, used: status.memory_bytes_used, all: status.memory_bytes, busy: status.machine?.cpu_share },
          ...(status.devices ?? []).map((one) => ({ ...one, key: one.index, used: one.memory_bytes_used, all: one.memory_bytes, busy: one.busy_share }))];
}

export function make_alerts_view() {
  const alerts = make_table({
    name: "Alerts", key: (row) => `${row.node} ${row.name} ${row.subject} ${row.since_us}`, empty: "Nothing lasts, and nothing has ended lately.", sort: 3, descending: true,
    columns: [
      { title: "what", value: (row) => plain(row.name, "x") },
      { title: "state", value: (row) => (row.ended_us ? "ended" : plain(row.severity, "severity")),
        draw: (cell, row) => set_mark(cell, row.ended_us ? "quiet" : row.severity === "severity_critical" ? "bad" : "warn", row.ended_us ? "ended" : plain(row.severity, "severity")) },
      { title: "about", value: (row) => row.subject },
      { title: "since", number: true, value: (row) => row.since_us, text: (row) => new Date(row.since_us / 1000).toLocaleTimeString([], { hour12: false }) },
      { title: "told by", wide: true, value: (row) => row.node },
      { title: "signals", number: true, wide: true, value: (row) => row.signals },
      { title: "and what to do", value: (row) => row.text, draw: (cell, row) => { cell.className = "because"; set_text(cell, row.text); } },
    ],
  });
  const objectives = make_table({
    name: "Objectives: first token in time", key: (row) => `${row.node} ${row.model}`, filter: false,
    empty: "No model has a latency objective. Settings of monitoring name them.",
    columns: [
      { title: "model", value: (row) => row.model },
      { title: "gateway", value: (row) => row.node },
      { title: "within", number: true, value: (row) => row.target_ms, text: (row) => `${row.target_ms} ms` },
      { title: "wanted", number: true, value: (row) => row.share, text: (row) => percent(row.share) },
      { title: "kept", value: (row) => share(row.jobs_within, row.jobs),
        draw: (cell, row) => set_bar(cell, row.jobs ? `${percent(share(row.jobs_within, row.jobs))} of ${count(row.jobs)} jobs` : "no jobs yet", share(row.jobs_within, row.jobs), row.jobs && row.jobs_within / row.jobs < row.share ? "bad" : "good") },
      { title: "error budget left", value: (row) => row.budget_left,
        draw: (cell, row) => set_bar(cell, !row.jobs ? "–" : row.budget_left < 0 ? `missed by ${percent(-row.budget_left)}` : percent(row.budget_left), row.jobs ? row.budget_left : NaN, row.budget_left < 0.1 ? "bad" : row.budget_left < 0.4 ? "warn" : "good") },
      { title: "window", wide: true, number: true, value: (row) => row.window_ms, text: (row) => `${Math.round(row.window_ms / 60000)} min` },
    ],
  });
  const root = el("div", {}, alerts.root, objectives.root);
  root.style.display = "contents";
  return {
    root,
    show(state) {
      const up = state.picture.nodes.filter((part) => part.up);
      alerts.show(up.flatMap((part) => part.alerts ?? []));
      objectives.show(up.flatMap((part) => (part.objectives ?? []).map((one) => ({ ...one, node: part.node }))));
    },
  };
}
