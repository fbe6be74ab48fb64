// A job's story: sentences, then its spans as a waterfall.
import { el, set_mark, set_text, shape } from "./dom.js";
import { lasting, plain, short_id } from "./format.js";
import { attributes_of, end_of, rows_of, sentences_of } from "./story_words.js";

const AGAIN_MS = 1000, ROWS_MAX = 256;

export function make_story({ read, cancel }) {
  const title = el("h2", { tabindex: "-1" }), state = el("span"), said = el("ul", { class: "said" }), fall = el("ol", { class: "fall", "aria-label": "Spans, by start" });
  const stop = el("button", { type: "button", class: "danger", text: "Cancel this job…", onclick: () => cancel(id_whole) });
  const all = el("dl", { class: "plain" }), details = el("details", {}, el("summary", { text: "Everything that was told" }), all);
  const root = el("section", { class: "panel", "aria-label": "A job's story", hidden: true },
    el("div", { class: "head" }, el("a", { href: "#jobs", text: "← all jobs" }), title, state, stop), said, fall, details);
  let id = "", id_whole = "", asked_at = -Infinity, finished = false, asking = false;

  function axis(lasts_us) {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((at) => {
      const mark = el("span", { text: at === 0 ? "0" : lasting((at * lasts_us) / 1e6) });
      mark.style.left = `${at * 100}%`;
      return mark;
    });
    return el("li", { class: "axis", "aria-hidden": "true" }, el("span"), el("span", { class: "lane" }, marks), el("span"));
  }
  function line(row, start_us, lasts_us) {
    const bar = el("i");
    bar.style.left = `${(100 * row.from).toFixed(2)}%`;
    bar.style.width = `${(100 * row.width).toFixed(2)}%`;
    const ticks = (row.span.events ?? []).filter((event) => event.name === "first_token").slice(0, 8).map((event) => {
      const tick = el("b", { title: "first token" });
      tick.style.left = `${Math.min(99.8, (100 * (event.at_us - start_us)) / lasts_us).toFixed(2)}%`;
      return tick;
    });
    const name = el("span", {}, el("b", { text: row.span.name }), el("span", { class: "muted", text: row.span.node ? ` ${row.span.node}` : "" }));
    name.style.paddingLeft = `${Math.min(3, row.depth) * 12}px`;
    const first = (row.span.events ?? []).find((event) => event.name === "first_token");
    const facts = [...row.facts, ...(first ? [`first token after ${lasting((first.at_us - row.span.start_us) / 1e6)}`] : [])].join(" · ");
    const below = el("span", { class: row.span.error ? "facts bad" : "facts", text: facts });
    below.style.paddingLeft = name.style.paddingLeft;
    return el("li", { class: row.kind }, name, el("span", { class: "lane", "aria-hidden": "true" }, bar, ticks),
      el("span", { class: "time", text: `${lasting(row.span.duration_us / 1e6)}${row.span.lasts ? " …" : ""}` }), facts && below);
  }
  function draw(story) {
    const { rows, start_us, lasts_us } = rows_of(story);
    const job = story.job ?? {};
    id_whole = job.job_id || id;
    finished = Boolean(end_of(story)) || job.state === "job_ended";
    set_text(title, `Job ${short_id(id_whole)}${job.model ? ` of ${job.model}` : ""}`);
    set_mark(state, finished ? (rows[0]?.span.error ? "bad" : "ok") : job.state === "job_running" ? "ok" : "warn", finished ? "ended" : plain(job.state, "job"));
    stop.hidden = finished;
    said.replaceChildren(...sentences_of(story).map((one) => el("li", {}, el("span", { class: one.severity }, shape(one.severity)), el("span", { text: one.text }))));
    fall.replaceChildren(axis(lasts_us), ...rows.slice(0, ROWS_MAX).map((row) => line(row, start_us, lasts_us)));
    if (!details.open) all.replaceChildren(...everything(story, rows));
  }
  function everything(story, rows) {
    const pairs = [["job", id_whole], ["gateway", story.job?.gateway], ["told by", story.told_by]];
    const trace = rows[0]?.span;
    if (trace) pairs.push(["trace", `${trace.trace_high}${trace.trace_low}`]);
    for (const { span } of rows)
      for (const [key, value] of Object.entries(attributes_of(span))) if (value !== undefined) pairs.push([`${span.name}: ${key}`, value]);
    for (const { span } of rows) for (const event of span.events ?? []) pairs.push([`${span.name}: ${event.name}`, `after ${lasting((event.at_us - rows[0].span.start_us) / 1e6)}${event.text ? `, ${event.text}` : ""}`]);
    return pairs.slice(0, 400).flatMap(([key, value]) => [el("dt", { text: key }), el("dd", { text: String(value ?? "–") })]);
  }
  // A long job that waits for its place at this door has no story yet.
  function draw_untold(failure, at_door) {
    const waits = at_door && ["waiting", "writing"].includes(at_door.state);
    id_whole = id;
    finished = !waits;
    set_text(title, `Job ${short_id(id)}`);
    stop.hidden = !waits;
    fall.replaceChildren();
    if (at_door) set_mark(state, waits ? "warn" : "quiet", String(at_door.state));
    const text = waits ? "It waits at this door: as many long jobs run as may at once (http.jobs_running_max)."
      : at_door ? `It is ${at_door.state}, and its story is no longer kept.`
      : failure.status === 404 ? `No node remembers this job. Stories are kept for a while after a job's end; is the id right? (${failure.message})` : failure.message;
    const word = waits ? "warn" : at_door ? "ok" : "bad";
    said.replaceChildren(el("li", {}, el("span", { class: word }, shape(word)), el("span", { text })));
  }
  async function ask() {
    if (asking) return;
    asking = true;
    asked_at = performance.now();
    const wanted = id;
    try {
      const story = await read(`/v1/monitoring/jobs/${encodeURIComponent(wanted)}`);
      if (wanted === id) draw(story);
    } catch (failure) {
      const at_door = failure.status === 404 && wanted.length === 36 ? await read(`/v1/jobs/${encodeURIComponent(wanted)}`).catch(() => null) : null;
      if (wanted === id) draw_untold(failure, at_door);
    }
    asking = false;
    if (wanted !== id && id) ask();
  }
  return {
    root,
    open(next) {
      root.hidden = !next;
      if (next === id) return;
      id = next;
      finished = false;
      if (!next) return;
      set_text(title, `Job ${short_id(next)}`);
      said.replaceChildren();
      fall.replaceChildren();
      all.replaceChildren();
      details.open = false;
      ask();
      title.focus({ preventScroll: true });
    },
    opened: () => id,
    show() {
      if (id && !finished && performance.now() - asked_at >= AGAIN_MS) ask();
    },
  };
}
