// Running jobs, and those that this page saw run and that have ended.
import { el, set_attribute, set_bar, set_mark, set_text } from "./dom.js";
import { count, lasting, plain, short_id } from "./format.js";
import { SLOW_WAIT_S, because_of, why_waits } from "./health.js";
import { make_table } from "./table.js";

const ENDED_KEPT = 200;

const waits = (job) => job.gone_ms === undefined && job.state !== "job_running";
const state_words = (job) => (job.gone_ms !== undefined ? "ended" : plain(job.state, "job"));

function link_to(cell, job) {
  if (!cell.firstChild) cell.append(el("a", { href: `#job=${job.job_id}`, text: short_id(job.job_id), title: job.job_id }));
}

const why = (job) => (waits(job) && job.state !== "job_queued" ? why_waits(job) : because_of(job));
function draw_why(cell, job) {
  if (!cell.firstChild) cell.append(el("span", { class: "because" }));
  set_text(cell.firstChild, why(job));
  set_attribute(cell.firstChild, "title", why(job));
}

export function job_columns(brief) {
  const all = [
    { title: "job", value: (job) => job.job_id, draw: link_to },
    { title: "state", value: state_words, draw: (cell, job) => set_mark(cell, job.gone_ms !== undefined ? "quiet" : !waits(job) ? "ok" : job.age_ms < 1000 * SLOW_WAIT_S ? "quiet" : "warn", state_words(job)) },
    { title: "at", value: (job) => job.worker || "–" },
    { title: "tokens", value: (job) => job.answer_tokens,
      draw: (cell, job) => set_bar(cell, `${count(job.answer_tokens)} of ${count(job.tokens_max)}`, job.tokens_max ? job.answer_tokens / job.tokens_max : NaN, "good") },
    { title: "tokens/s", number: true, value: (job) => job.tokens_per_second, text: (job) => (job.gone_ms === undefined && job.state === "job_running" ? count(job.tokens_per_second) : "–") },
    { title: "age", number: true, value: (job) => job.age_ms + (brief && waits(job) ? 1e12 : 0), text: (job) => lasting(job.age_ms / 1000) },
    { title: "why it is there", value: why, draw: draw_why, wide: !brief },
    { title: "model", value: (job) => job.model, wide: brief },
    { title: "attempt", number: true, wide: true, value: (job) => job.attempt },
    { title: "gateway", wide: true, value: (job) => job.gateway },
    { title: "tenant", wide: true, value: (job) => job.tenant },
  ];
  return brief ? all.slice(0, 7) : all;
}

const empty = "Nothing runs. A request to /v1/chat/completions, /v1/completions or /api/chat of any node shows up here while it runs.";

export function make_running_panel() {
  const table = make_table({ name: "Running jobs", columns: job_columns(true), key: (job) => job.job_id, empty, filter: false, sort: 5, descending: true });
  table.root.classList.add("running");
  return { root: table.root, show: (state) => table.show(state.jobs) };
}

export function make_jobs_view(open) {
  const wanted = el("input", { type: "text", spellcheck: "false", autocomplete: "off", size: 30, placeholder: "0198c6f2…" });
  const said = el("span", { class: "bad", role: "alert" });
  const running = make_table({ name: "Running", columns: job_columns(false), key: (job) => job.job_id, empty, sort: 5, descending: true });
  const ended = make_table({ name: "Ended while this page looked", columns: job_columns(false).filter((one) => !["tokens/s"].includes(one.title)),
                             key: (job) => job.job_id, empty: "None yet.", sort: 4 });
  const gone = new Map();
  let before = new Map();
  function find(event) {
    event.preventDefault();
    const id = wanted.value.trim().toLowerCase();
    const sound = /^[0-9a-f-]{8,36}$/.test(id);
    set_text(said, sound ? "" : "A job's id is a UUID; its first 8 digits are enough.");
    if (sound) open(id);
  }
  const form = el("form", { class: "panel row", onsubmit: find },
    el("label", { class: "field" }, "A job's id, or its first 8 digits ", wanted), el("button", { type: "submit", text: "Show its story" }), said);
  const root = el("div", {}, form, running.root, ended.root);
  root.style.display = "contents";
  return {
    root,
    // Called with each picture, whichever view is shown: a job that ends between is remembered.
    look(state) {
      const now = new Map(state.jobs.map((job) => [job.job_id, job]));
      const heard = new Set(state.picture.nodes.filter((part) => part.up && !part.silent).map((part) => part.node));
      for (const [id, job] of before)
        if (!now.has(id) && (heard.has(job.gateway) || !state.picture.nodes.some((part) => part.node === job.gateway && part.up)))
          gone.set(id, { ...job, gone_ms: performance.now() });
      for (const id of now.keys()) gone.delete(id);
      while (gone.size > ENDED_KEPT) gone.delete(gone.keys().next().value);
      before = now;
    },
    show(state) {
      running.show(state.jobs);
      ended.show([...gone.values()]);
    },
  };
}
