// A job's story told: its spans as rows of a waterfall, and the sentences above them. Pure.
import { lasting, plain, some } from "./format.js";
import { why_waits } from "./health.js";

const WAITING = new Set(["queue", "wait", "route", "link", "load", "tokenise"]);

// A message that is absent comes with its fields empty.
export const end_of = (story) => (story.finished && story.finished.reason !== "finish_reason_unspecified" ? story.finished : null);

export const attributes_of = (span) =>
  Object.fromEntries((span.attributes ?? []).map((a) => [a.key, a.text || a.number || a.real || a.flag || a.number]));

const kind_of = (name) => (name === "recovery" ? "lost" : WAITING.has(name) ? "waits" : name === "cache" ? "cache" : name);

// Rows in the order to be drawn: {span, depth, kind, from, width (shares of the whole), facts}.
export function rows_of(story) {
  const spans = story.spans ?? [];
  if (spans.length === 0) return { rows: [], start_us: 0, lasts_us: 0 };
  const ids = new Set(spans.map((span) => span.id));
  const children = new Map();
  for (const span of spans.slice(1)) {
    const under = ids.has(span.parent) ? span.parent : spans[0].id;
    children.set(under, [...(children.get(under) ?? []), span]);
  }
  const start_us = Math.min(...spans.map((span) => span.start_us));
  const lasts_us = Math.max(1, ...spans.map((span) => span.start_us + span.duration_us - start_us));
  const rows = [];
  const add = (span, depth) => {
    if (depth > 16) return;
    rows.push({ span, depth, kind: kind_of(span.name), from: (span.start_us - start_us) / lasts_us,
                width: span.duration_us / lasts_us, facts: facts_of(span) });
    for (const child of children.get(span.id) ?? []) add(child, depth + 1);
  };
  add(spans[0], 0);
  return { rows, start_us, lasts_us };
}

export function facts_of(span) {
  const a = attributes_of(span), out = [];
  if (span.name === "attempt" && a["troupe.attempt"]) out.push(`attempt ${a["troupe.attempt"]}`);
  if (a["troupe.because"]) out.push(a["troupe.because"]);
  if (a["troupe.cache"]) out.push(`cache ${a["troupe.cache"]}`);
  if (span.name === "prefill") out.push(a["troupe.prefix_tokens"] > 0 ? `${some(a["troupe.prefix_tokens"], "token")} of the prompt were held already`
                                                                      : "nothing of the prompt was held");
  if (a["troupe.forced_tokens"] > 0) out.push(`goes on behind ${some(a["troupe.forced_tokens"], "token")}`);
  if (a["troupe.held_tokens"] > 0) out.push(`${some(a["troupe.held_tokens"], "token")} held`);
  if (a["troupe.batches"] > 0) out.push(`${some(a["troupe.batches"], "batch", "batches")}, ${Number(a["troupe.batch_mean"] || 1).toFixed(1)} sequences in each`);
  if (span.name !== "request" && a["gen_ai.usage.output_tokens"] > 0) out.push(some(a["gen_ai.usage.output_tokens"], "token"));
  if (span.error) out.push(span.error);
  return out;
}

// The time that spans take together, each moment counted once.
export function covered_us(spans) {
  let sum = 0, until = -Infinity;
  for (const span of [...spans].sort((a, b) => a.start_us - b.start_us)) {
    const end = span.start_us + span.duration_us;
    sum += Math.max(0, end - Math.max(until, span.start_us));
    until = Math.max(until, end);
  }
  return sum;
}

// What a reader wants first: {text, severity} each.
export function sentences_of(story) {
  const { rows, lasts_us } = rows_of(story);
  const job = story.job ?? {}, done = end_of(story), out = [];
  if (rows.length === 0) return [{ severity: "warn", text: "Nothing is remembered of this job." }];
  const total = lasts_us / 1e6, spans = rows.map((row) => row.span);
  const root = attributes_of(spans[0]);
  const ended = done ? plain(done.reason, "finish_reason") : "";
  const tokens = done?.answer_tokens ?? job.answer_tokens ?? 0;
  if (spans[0].error) out.push({ severity: "bad", text: `It failed after ${lasting(total)}: ${spans[0].error}` });
  else if (done) out.push({ severity: "ok", text: `It ended (${ended}) with ${some(tokens, "token")} after ${lasting(total)}.` });
  else out.push({ severity: "ok", text: `It goes on since ${lasting(total)}, ${some(tokens, "token")} so far.` });

  const routed = spans.findLast((span) => span.name === "route");
  if (routed) {
    const a = attributes_of(routed);
    out.push({ severity: "ok", text: `It was sent to ${a["troupe.because"] || a["troupe.node"] || routed.node}.` });
  }
  const cached = spans.find((span) => span.name === "cache" && attributes_of(span)["troupe.cache"] === "hit");
  if (cached) out.push({ severity: "ok", text: "The answer came from a cache: nothing was computed." });

  const leaves = spans.filter((span) => !spans.some((other) => other !== span && other.parent === span.id) && span.name !== "request");
  const waited = leaves.filter((span) => WAITING.has(span.name) || span.name === "recovery");
  const waited_us = covered_us(waited);
  // A recovery holds the next attempt's queue: it is named for what is its own.
  const own_us = (span) => (span.name === "recovery" ? waited_us - covered_us(waited.filter((one) => one !== span)) : span.duration_us);
  const longest = waited.reduce((a, b) => (!a || own_us(b) > own_us(a) ? b : a), null);
  if (longest && waited_us > 0.1 * lasts_us && waited_us > 20e3) {
    const names = { queue: `queued at ${longest.node}`, wait: "no node could take it", load: `${longest.node} loaded the model`,
                    link: `on the way to and from ${longest.node}`, recovery: "its node was lost and another had to go on",
                    route: "a node was being chosen", tokenise: "its prompt was turned into tokens" };
    out.push({ severity: "warn", text: `It waited ${lasting(waited_us / 1e6)} of ${lasting(total)}, ` +
                                       `most of it (${lasting(own_us(longest) / 1e6)}): ${names[longest.name] ?? longest.name}.` });
  } else if (!done && job.state && !["job_running", "job_ended", "job_state_unknown"].includes(job.state)) {
    out.push({ severity: "warn", text: `It waits: ${why_waits(job)}.` });
  } else if (!done && job.queue_us > 20e3) {
    out.push({ severity: "warn", text: `It waited ${lasting(job.queue_us / 1e6)} in the queue of ${job.worker} before its first token.` });
  }
  for (const span of spans.filter((one) => one.name === "recovery")) {
    const a = attributes_of(span);
    out.push({ severity: "warn", text: `A node was lost (${a["troupe.because"] || span.error || "no reason told"}); ` +
                                       `${span.lasts ? "nobody has gone on yet, for" : "the next token came after"} ${lasting(span.duration_us / 1e6)}` +
                                       `${a["troupe.held_tokens"] > 0 ? `, ${some(a["troupe.held_tokens"], "token")} were kept` : ""}.` });
  }
  if (done?.provenance?.attempts > 1 || root["troupe.attempts"] > 1)
    out.push({ severity: "warn", text: `It took ${done?.provenance?.attempts ?? root["troupe.attempts"]} attempts.` });
  return out;
}
