// How each node is, what is wrong in plain words, and why a job waits: out of one picture. Pure.
import { lasting, plain, some } from "./format.js";

export const SLOW_WAIT_S = 1;           // a job that waits longer for its first token makes its node slow
const SLOWER_BY = 3;                    // than the fastest, in tokens/s of a stream
const RANK = { down: 5, slow: 4, silent: 4, suspect: 4, draining: 2, ok: 0 };

// What is asked of each worker now. jobs: of all gateways.
export function jobs_of(picture) {
  return (picture?.nodes ?? []).flatMap((part) => part.jobs ?? []);
}

const waits = (job) => job.state !== "job_running" && job.state !== "job_ended";

export function load_of(part, jobs) {
  const here = jobs.filter((job) => job.worker === part.node);
  const engines = part.up ? (part.engines ?? []) : [];  // what a lost node told last runs no more
  const running = here.filter((job) => job.state === "job_running");
  const rates = running.map((job) => job.tokens_per_second).filter((rate) => rate > 0);
  const queued = here.filter(waits);
  return {
    running: Math.max(running.length, engines.reduce((n, e) => n + e.running, 0)),
    waiting: Math.max(queued.length, engines.reduce((n, e) => n + e.waiting, 0)),
    oldest_s: Math.max(0, ...queued.map((job) => job.age_ms / 1000)),
    stream_rate: rates.length ? rates.reduce((a, b) => a + b, 0) / rates.length : NaN,
  };
}

// word: ok, slow, silent, suspect, draining or down; why: a whole sentence where it is not ok.
export function health_of(part, load, fastest, page_age_s = 0) {
  const heard_s = part.age_ms / 1000 + page_age_s;
  const name = part.node;
  if (!part.up && part.draining) return { word: "draining", why: `${name} was drained and is gone` };
  if (!part.up) return { word: "down", why: `${name} is down since ${lasting(heard_s)}` };
  if (part.suspect) return { word: "suspect", why: `${name} does not answer its neighbours: perhaps down` };
  if (part.silent) return { word: "silent", why: `${name} is up but has told nothing for ${lasting(heard_s)}` };
  const open = part.status?.breaker?.state;
  if (open && open !== "breaker_closed")
    return { word: "slow", why: `${name} gets no work: it failed ${some(part.status.breaker.failures, "time")} in a row` };
  if (load.oldest_s >= SLOW_WAIT_S)
    return { word: "slow", why: `${name} is slow: a request has waited ${lasting(load.oldest_s)} for its first token, ` +
                                `${load.waiting} waiting, ${load.running} running` };
  const dead = (part.status?.actors ?? []).find((actor) => !actor.alive);
  if (dead) return { word: "slow", why: `actor ${dead.name} of ${name} is not running` };
  if (part.draining) return { word: "draining", why: `${name} takes no new work: it is being drained` };
  if (load.stream_rate * SLOWER_BY < fastest)
    return { word: "slow", why: `${name} is slow: ${load.stream_rate.toFixed(1)} tokens/s to each of ` +
                                `${some(load.running, "stream")}, the fastest node gives ${fastest.toFixed(1)}` };
  return { word: "ok", why: "" };
}

export function nodes_of(picture, page_age_s = 0) {
  const jobs = jobs_of(picture);
  const loads = (picture?.nodes ?? []).map((part) => [part, load_of(part, jobs)]);
  const fastest = Math.max(0, ...loads.map(([part, load]) => (part.up && load.stream_rate) || 0));
  return loads.map(([part, load]) => ({ part, load, ...health_of(part, load, fastest, page_age_s) }));
}

// Problems, worst first: {severity: bad|warn, key (same problem, same key), text, link}.
export function problems_of(picture, page_age_s = 0) {
  const nodes = nodes_of(picture, page_age_s);
  const out = nodes.filter((node) => node.word !== "ok").map((node) => ({
    severity: node.word === "down" ? "bad" : "warn", rank: RANK[node.word], key: `${node.word} ${node.part.node}`,
    text: node.why, link: `#node=${encodeURIComponent(node.part.node)}`,
  }));
  for (const job of jobs_of(picture).filter((one) => one.state === "job_waiting_for_node" || (waits(one) && !one.worker)))
    if (job.age_ms >= 1000 * SLOW_WAIT_S)
      out.push({ severity: "warn", rank: 3, key: `job ${job.job_id}`, link: `#job=${job.job_id}`,
                 text: `a request for ${job.model} has waited ${lasting(job.age_ms / 1000)}: ${why_waits(job)}` });
  const said = new Set(nodes.filter((node) => node.word === "down").map((node) => node.part.node));
  const incidents = new Set();
  for (const alert of lasting_alerts(picture)) {
    const about_down = alert.name === "node_down" && said.has(alert.subject);
    const known = incidents.has(alert.incident || alert.name + alert.subject);
    incidents.add(alert.incident || alert.name + alert.subject);
    if (about_down || known || alert.severity === "severity_information") continue;
    out.push({ severity: alert.severity === "severity_critical" ? "bad" : "warn", rank: alert.severity === "severity_critical" ? 4.5 : 1,
               key: `alert ${alert.name} ${alert.subject}`, text: alert.text, link: "#alerts" });
  }
  return out.sort((a, b) => b.rank - a.rank);
}

export function lasting_alerts(picture) {
  return (picture?.nodes ?? []).filter((part) => part.up).flatMap((part) => part.alerts ?? []).filter((alert) => alert.ended_us === 0);
}

// The gateway's words, which begin with the worker's name: told once.
export const because_of = (job) => (job.worker && job.because?.startsWith(`${job.worker}: `) ? job.because.slice(job.worker.length + 2) : (job.because ?? ""));

export function why_waits(job) {
  const because = because_of(job) ? `: ${because_of(job)}` : "";
  switch (job.state) {
    case "job_waiting_for_model": return `no node knows a model of that name yet${because}`;
    case "job_preparing": return "its prompt is being turned into tokens";
    case "job_looking_up": return "the caches are being asked";
    case "job_loading": return `${job.worker || "a node"} loads the model${because}`;
    case "job_queued": return `queued at ${job.worker || "its worker"}${because}`;
    case "job_waiting_for_node": return `no node can take it now${because}`;
    default: return plain(job.state, "job") + because;
  }
}

// The headline: {severity, text, more}.
export function verdict_of(picture, page_age_s = 0) {
  const all = problems_of(picture, page_age_s);
  if (all.length === 0) {
    const up = (picture?.nodes ?? []).filter((part) => part.up).length;
    return { severity: "ok", text: `All is well: ${some(up, "node")} up`, problems: all };
  }
  return { severity: all.some((one) => one.severity === "bad") ? "bad" : "warn", text: all[0].text, problems: all };
}
