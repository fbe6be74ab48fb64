// A chaos run's report drawn: faults on the lanes of nodes, jobs on the lanes of clients, gaps where no token came.
import { el, set_text, svg } from "./dom.js";
import { count, lasting } from "./format.js";

const FILE_BYTES_MAX = 64 << 20, JOBS_MAX = 4000, FAULTS_MAX = 2000, LANES_MAX = 128;
const LEFT = 96, WIDTH = 1200, LANE = 18;
const OUTCOMES = { whole: "job", moved: "moved", failed: "failed", refused: "refused" };

// What a report must have to be drawn; a sentence where it has not.
export function fault_in(report) {
  if (typeof report !== "object" || report === null || typeof report.plan !== "string" || typeof report.outcome !== "string")
    return "this is no report of troupe chaos. Make one with: troupe chaos local --plan FILE --json > report.json";
  const t = report.timeline;
  if (!t || !Array.isArray(t.faults) || !Array.isArray(t.jobs) || !Array.isArray(t.nodes))
    return "the report has no timeline; it was made by an older troupe. Run the plan again";
  return "";
}

function drawn(report) {
  const t = report.timeline, scale = (WIDTH - LEFT - 12) / Math.max(1, report.seconds);
  const lanes = new Map([...t.nodes, ...(t.redis ? ["redis"] : []), ...Array.from({ length: t.streams }, (_, i) => `client ${i}`)].slice(0, LANES_MAX).map((name, i) => [name, 24 + LANE * i]));
  const height = 32 + LANE * lanes.size, x = (s) => LEFT + s * scale;
  const step = report.seconds > 600 ? 120 : report.seconds > 120 ? 30 : report.seconds > 40 ? 10 : 5, parts = [];
  for (let s = 0; s <= report.seconds; s += step)
    parts.push(svg("line", { x1: x(s), x2: x(s), y1: 16, y2: height }), svg("text", { x: x(s) + 2, y: 12, text: `${s} s` }));
  for (const [name, y] of lanes) parts.push(svg("text", { x: 4, y: y + 11, text: name }));
  const bar = (from, to, y, thick, css, title) => svg("rect", { x: x(from).toFixed(2), y: y + (LANE - 4 - thick) / 2, width: Math.max(0.8, (to - from) * scale).toFixed(2),
                                                                 height: thick, class: css }, svg("title", { text: title }));
  for (const fault of t.faults.slice(0, FAULTS_MAX)) {
    const y = lanes.get(fault.where);
    if (y !== undefined) parts.push(bar(fault.began_s, fault.ended_s, y, LANE - 6, "fault", `${fault.kind} at ${fault.where}, from ${lasting(fault.began_s)} for ${lasting(fault.ended_s - fault.began_s)}`));
  }
  for (const job of t.jobs.slice(0, JOBS_MAX)) {
    const y = lanes.get(`client ${job.stream}`);
    if (y === undefined) continue;
    const css = OUTCOMES[job.outcome] ?? "failed";
    const title = `job ${job.id}: ${job.outcome}, ${count(job.tokens)} tokens, ${job.attempts} attempts${job.worker ? `, last at ${job.worker}` : ""}` +
                  `${job.longest_gap_s > 0.25 ? `, longest gap ${lasting(job.longest_gap_s)}` : ""}${job.failure ? `, ${job.failure}` : ""}`;
    parts.push(bar(job.submitted_s, job.ended_s, y, 2, css, title));
    for (const [from, to] of (job.flows ?? []).slice(0, 200)) parts.push(bar(from, to, y, LANE - 8, css, title));
  }
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Timeline of ${t.faults.length} faults and ${t.jobs.length} jobs in ${lasting(report.seconds)}` }, parts);
}

export function make_chaos_view() {
  const said = el("p", { class: "bad", role: "alert" }), shown = el("div", {});
  const file = el("input", { type: "file", accept: ".json,application/json", onchange: () => file.files[0] && load(file.files[0]) });
  const drop = el("div", { class: "drop" }, el("label", { class: "field" }, "A report of `troupe chaos local --json`: drag it here or pick it ", file));
  const root = el("section", { class: "panel chaos", "aria-label": "A chaos run" }, drop, said, shown);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) load(event.dataTransfer.files[0]);
  });

  async function load(from) {
    let report = null, why = "";
    if (from.size > FILE_BYTES_MAX) why = "it has more than 64 MiB";
    else
      try {
        report = JSON.parse(await from.text());
        why = fault_in(report);
      } catch {
        why = "it is no JSON";
      }
    set_text(said, why ? `${from.name} cannot be shown: ${why}.` : "");
    shown.replaceChildren(...(why ? [] : told(report)));
  }
  function told(report) {
    const pairs = [
      ["faults", Object.entries(report.faults).map(([kind, n]) => `${kind} ${n}`).join(", ") + ` (${report.faults_in_flight} while a job ran)`],
      ["jobs", `${report.jobs_submitted} submitted, ${report.jobs_finished} finished, ${report.jobs_lost} lost, ${report.jobs_refused} refused, ${report.jobs_moved} went on elsewhere`],
      ["tokens", `${report.tokens} delivered, ${report.tokens_lost} lost, ${report.tokens_repeated} repeated, ${report.tokens_changed} changed`],
      ["gap when a job moved", report.stall_seconds?.count ? `P50 ${lasting(report.stall_seconds.p50)}, P99 ${lasting(report.stall_seconds.p99)}, longest ${lasting(report.stall_seconds.max)}` : "none moved"],
      ["first token", report.first_token_seconds?.count ? `P50 ${lasting(report.first_token_seconds.p50)}, P99 ${lasting(report.first_token_seconds.p99)}` : "none"],
    ];
    const problems = [...(report.violations ?? []), ...(report.missing ?? [])].slice(0, 50);
    return [
      el("h2", { class: report.outcome === "passed" ? "ok" : "bad", text: `${report.plan}, seed ${report.seed}: ${report.outcome}` }),
      el("dl", { class: "plain" }, pairs.flatMap(([key, value]) => [el("dt", { text: key }), el("dd", { text: value })])),
      problems.length > 0 && el("ul", {}, problems.map((text) => el("li", { class: "bad", text: String(text) }))),
      el("p", { class: "muted", text: "Red: a fault. Green: a job; amber: it went on at another worker; grey: refused; ink: lost. A thin line: no token for a quarter of a second or more." +
         (report.timeline.jobs_left_out > 0 ? ` ${report.timeline.jobs_left_out} jobs are not drawn.` : "") }),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline" }, drawn(report)),
    ].filter(Boolean);
  }
  return { root, show() {} };
}
