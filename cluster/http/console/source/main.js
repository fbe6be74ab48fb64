// The page: pictures come in, the header and the view that is shown are drawn from them.
import { make_actions, make_key_form } from "./actions.js";
import { keep_key, key_now, picture_stream, read } from "./api.js";
import { make_chaos_view } from "./chaos.js";
import { by_id, el, set_attribute, set_text, shape } from "./dom.js";
import { count, lasting, some } from "./format.js";
import { jobs_of, nodes_of, verdict_of } from "./health.js";
import { make_jobs_view, make_running_panel } from "./jobs.js";
import { make_log_view } from "./log_tail.js";
import { make_map } from "./map.js";
import { make_alerts_view, make_models_view } from "./model_tables.js";
import { make_machines_panel, make_nodes_view } from "./node_tables.js";
import { make_plots } from "./plots.js";
import { make_story } from "./story.js";
import { make_tabs } from "./tabs.js";

const STALE_S = 3, PROBLEMS_SHOWN = 3, HIDDEN_REST_MS = 60_000;

let state = null, heard_at = 0, lost = null, paused = false, view = "", drawing = false, announced = "", rest = 0;

const actions = make_actions(read);
const map = make_map(), machines = make_machines_panel(), running = make_running_panel(), plots = make_plots(read);
const story = make_story({ read, cancel: actions.cancel });
const jobs = make_jobs_view((id) => { location.hash = `job=${id}`; });
const nodes = make_nodes_view(actions), models = make_models_view(), alerts = make_alerts_view();
const log = make_log_view(read), chaos = make_chaos_view();
const key_form = make_key_form((key) => {
  keep_key(key);
  key_form.hide();
  stream.start();
});

const views = [
  { id: "overview", title: "Overview", roots: [el("div", { class: "split" }, el("div", { class: "stack" }, map.root, machines.root), running.root), plots.root], show: [map, machines, running, plots] },
  { id: "jobs", title: "Jobs", roots: [story.root, jobs.root], show: [story, jobs] },
  { id: "nodes", title: "Nodes", roots: [nodes.root], show: [nodes] },
  { id: "models", title: "Models and caches", roots: [models.root], show: [models] },
  { id: "alerts", title: "Alerts", roots: [alerts.root], show: [alerts] },
  { id: "log", title: "Log", roots: [log.root], show: [log] },
  { id: "chaos", title: "Chaos run", roots: [chaos.root], show: [chaos] },
];

by_id("main").append(key_form.root);
const tabs = make_tabs(by_id("tabs"), views, by_id("main"), (id, job, node) => {
  view = id;
  story.open(job);
  for (const piece of jobs.root.children) piece.hidden = Boolean(job);
  nodes.mark(node);
  draw();
});

const age_s = () => (heard_at ? (performance.now() - heard_at) / 1000 : 0);

function draw_header() {
  const age = age_s(), unheard = !state || lost || (!paused && age > STALE_S);
  document.body.classList.toggle("stale", Boolean(state && unheard));
  let said = state ? verdict_of(state.picture, age) : { severity: "warn", text: "Looking for the cluster …", problems: [] };
  if (unheard && (lost || state)) {
    const who = state?.picture.answered_by ?? location.host;
    const text = state ? `No word from ${who} since ${lasting(age)}; trying again. What stands below is that old.` : lost?.message ?? `${who} is silent`;
    said = { severity: "bad", text, problems: state ? [{ key: "lost", text }, ...said.problems] : [{ key: "lost", text }] };
  }
  const verdict = by_id("verdict"), first = said.problems[0];
  set_attribute(verdict, "class", said.severity);
  if (verdict.dataset.shape !== said.severity || verdict.dataset.link !== (first?.link ?? "")) {
    verdict.dataset.shape = said.severity;
    verdict.dataset.link = first?.link ?? "";
    verdict.replaceChildren(shape(said.severity), first?.link ? el("a", { href: first.link }) : el("span"));
  }
  set_text(verdict.lastChild, said.text);
  const more = said.problems.slice(1, 1 + PROBLEMS_SHOWN), left = said.problems.length - 1 - more.length;
  const list = by_id("problems"), lines = more.map((one) => JSON.stringify([one.key, one.severity, one.link])).join() + left;
  if (list.dataset.lines !== lines) {
    list.dataset.lines = lines;
    list.replaceChildren(...more.map((one) => el("li", { class: one.severity }, shape(one.severity), el("a", { href: one.link ?? "#overview", class: one.severity }))),
                         ...(left > 0 ? [el("li", { class: "muted", text: `and ${some(left, "more problem")}` })] : []));
  }
  more.forEach((one, i) => set_text(list.children[i].lastChild, one.text));
  // Spoken only where the problems changed, not each second with their growing times.
  const keys = said.problems.map((one) => one.key).join();
  if (state && announced !== keys) set_text(by_id("announced"), said.text);
  announced = keys;
  set_text(by_id("heard"), !state ? "" : paused ? `paused, ${lasting(age)} old` : `${unheard ? "last heard" : "live, heard"} ${age < 1.5 ? "now" : `${lasting(Math.floor(age))} ago`}`);
  document.title = `${said.severity === "ok" ? "" : said.severity === "bad" ? "✕ " : "▲ "}troupe${state ? ` at ${state.picture.answered_by}` : ""}`;
}

function draw_figures() {
  const totals = state.picture.totals ?? {}, first = totals.first_token_seconds ?? {};
  const waiting = state.nodes.reduce((n, node) => n + node.load.waiting, 0) + state.jobs.filter((job) => !job.worker).length;
  const tiers = state.picture.nodes.flatMap((part) => part.status?.cache?.tiers ?? []);
  const hits = tiers.reduce((n, tier) => n + tier.hits, 0);
  const pairs = [["nodes up", `${totals.nodes_up ?? 0} of ${totals.nodes ?? 0}`], ["tokens/s", count(totals.tokens_per_second)], ["jobs running", count(totals.jobs_running)],
                 ["waiting", count(waiting)], ["first token P50", first.count ? lasting(first.p50) : "–"], ["P95", first.count ? lasting(first.p95) : "–"],
                 ["P99", first.count ? lasting(first.p99) : "–"], ["cache hits", count(hits)]];
  const list = by_id("figures");
  if (!list.firstChild) list.append(...pairs.map(([name]) => el("div", {}, el("dt", { text: name }), el("dd"))));
  pairs.forEach(([, value], i) => set_text(list.children[i].lastChild, value));
  set_text(by_id("door"), `seen from ${state.picture.answered_by}`);
}

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw_header();
    if (!state) return;
    draw_figures();
    for (const part of views.find((one) => one.id === view)?.show ?? []) part.show(state);
  });
}

const stream = picture_stream({
  picture(picture) {
    lost = null;
    key_form.hide();
    by_id("forget").hidden = !key_now();
    if (paused) return;
    heard_at = performance.now();
    state = { picture, nodes: nodes_of(picture), jobs: jobs_of(picture) };
    jobs.look(state);
    draw();
  },
  silent: () => draw(),
  lost(failure) {
    lost = failure;
    draw();
  },
  refused(failure) {
    lost = failure;
    by_id("forget").hidden = !key_now();
    key_form.show(failure.status === 403 || key_now() ? failure.message : "");
    draw();
  },
});

by_id("pause").addEventListener("click", () => {
  paused = !paused;
  set_attribute(by_id("pause"), "aria-pressed", paused);
  set_text(by_id("pause"), paused ? "Go on" : "Pause");
  draw();
});
by_id("forget").addEventListener("click", () => {
  keep_key("");
  location.reload();
});
// A page that nobody looks at asks for nothing.
document.addEventListener("visibilitychange", () => {
  clearTimeout(rest);
  if (document.hidden) rest = setTimeout(() => stream.stop(), HIDDEN_REST_MS);
  else if (!stream.running()) stream.start();
});

setInterval(() => (performance.now() - heard_at > 1500 ? draw() : draw_header()), 1000);
tabs.follow();
stream.start();
