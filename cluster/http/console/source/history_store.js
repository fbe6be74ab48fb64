// The last 15 minutes of every node's series, put on one grid of times. Pure.
export const STEPS_MAX = 450;
const NODES_MAX = 64, SERIES_MAX = 48;

export function make_store() {
  const nodes = new Map();  // node -> Map(series -> {values, stamps}); slot of step n: n % STEPS_MAX
  let step_us = 2e6, newest = 0;

  function add(document) {
    for (const part of document.nodes ?? []) {
      if (part.silent || !part.step_ms || (!nodes.has(part.node) && nodes.size >= NODES_MAX)) continue;
      step_us = part.step_ms * 1000;
      const end = Math.round(part.end_us / step_us), series = nodes.get(part.node) ?? new Map();
      nodes.set(part.node, series);
      newest = Math.max(newest, end);
      for (const one of part.series ?? []) {
        if (!series.has(one.name)) {
          if (series.size >= SERIES_MAX) continue;
          series.set(one.name, { values: new Float64Array(STEPS_MAX), stamps: new Float64Array(STEPS_MAX).fill(-1) });
        }
        const to = series.get(one.name), from = Math.max(0, one.values.length - STEPS_MAX);
        for (let i = from; i < one.values.length; ++i) {
          const step = end - (one.values.length - 1 - i), slot = step % STEPS_MAX;
          if (step < to.stamps[slot]) continue;
          to.stamps[slot] = step;
          to.values[slot] = one.values[i] ?? NaN;
        }
      }
    }
  }
  // null: a hole.
  function at(node, name, step) {
    const series = nodes.get(node)?.get(name), slot = step % STEPS_MAX;
    return !series || series.stamps[slot] !== step || Number.isNaN(series.values[slot]) ? null : series.values[slot];
  }
  function times() {
    return Array.from({ length: STEPS_MAX }, (_, i) => ((newest - STEPS_MAX + 1 + i) * step_us) / 1e6);
  }
  // One value a step: names are added up, nodes put together by `together` (a function of the list of values that are there).
  function line(of, names, together) {
    return Array.from({ length: STEPS_MAX }, (_, i) => {
      const step = newest - STEPS_MAX + 1 + i, values = [];
      for (const node of of) {
        const parts = names.map((name) => at(node, name, step)).filter((value) => value !== null);
        if (parts.length) values.push(parts.reduce((a, b) => a + b, 0));
      }
      return values.length ? together(values) : null;
    });
  }
  return { add, times, line, nodes: () => [...nodes.keys()].sort(), empty: () => newest === 0 };
}
