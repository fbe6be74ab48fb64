// The web console's pure modules and colours: node console_words.mjs SOURCE-FOLDER. Exit 0 where all holds.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const module_of = (name) => import(pathToFileURL(join(folder, name)).href);
const format = await module_of("format.js"), health = await module_of("health.js"), words = await module_of("story_words.js");
const { make_store, STEPS_MAX } = await module_of("history_store.js"), { event_reader } = await module_of("api.js");
const { links_of } = await module_of("map.js"), { fault_in } = await module_of("chaos.js");

const node = (name, more = {}) => ({ node: name, up: true, silent: false, suspect: false, draining: false, age_ms: 0, jobs: [], engines: [],
                                     alerts: [], objectives: [], tokens_per_second: 0, status: { actors: [], links: [] }, ...more });
const job = (id, more = {}) => ({ job_id: id, model: "m", state: "job_running", gateway: "a", worker: "b", because: "", tokens_per_second: 0,
                                  age_ms: 0, answer_tokens: 0, tokens_max: 8, queue_us: 0, ...more });

test("numbers read as people write them", () => {
  assert.deepEqual([0, 12, 1.25, 12345, 2.8e6, 46e9, NaN].map(format.count), ["0", "12", "1.3", "12.3 k", "2.8 M", "46.0 G", "–"]);
  assert.deepEqual([0, 1023, 1024, 5 * 2 ** 30, 200 * 2 ** 20].map(format.bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB", "200 MiB"]);
  assert.deepEqual([0, 0.00042, 0.0031, 0.34, 2.1, 12, 185, 7440, 90000, NaN].map(format.lasting),
                   ["0 s", "420 µs", "3.1 ms", "340 ms", "2.1 s", "12 s", "3 min 5 s", "2 h 4 min", "1 d 1 h", "–"]);
  assert.deepEqual([0, 0.034, 0.5, NaN].map(format.percent), ["0 %", "3.4 %", "50 %", "–"]);
  assert.equal(format.plain("job_waiting_for_node", "job"), "waiting for node");
  assert.equal(format.short_id("0198c6f2-5a10-7000-8000-0123456789ab"), "…456789ab");
});

test("the headline says what is wrong, the worst first", () => {
  assert.deepEqual(health.verdict_of({ nodes: [node("a"), node("b")] }).text, "All is well: 2 nodes up");
  const waiting = job("1", { state: "job_queued", age_ms: 2100, because: "b: 3 sequences there" });
  const slow = { nodes: [node("a", { jobs: [waiting, job("2", { tokens_per_second: 20 })] }), node("b", { engines: [{ running: 1, waiting: 14 }] })] };
  const said = health.verdict_of(slow);
  assert.equal(said.severity, "warn");
  assert.equal(said.text, "b is slow: a request has waited 2.1 s for its first token, 14 waiting, 1 running");
  assert.equal(said.problems[0].link, "#node=b");
  slow.nodes.push(node("c", { up: false, age_ms: 11_000 }));
  const down = health.verdict_of(slow, 1);
  assert.deepEqual([down.severity, down.text], ["bad", "c is down since 12 s"]);
  assert.equal(down.problems.length, 2);
  assert.equal(health.why_waits(waiting), "queued at b: 3 sequences there");
});

test("each word of health", () => {
  const word = (part, jobs = []) => health.nodes_of({ nodes: [{ ...part, jobs }, node("b")] })[0].word;
  assert.equal(word(node("a")), "ok");
  assert.equal(word(node("a", { up: false })), "down");
  assert.equal(word(node("a", { silent: true })), "silent");
  assert.equal(word(node("a", { suspect: true })), "suspect");
  assert.equal(word(node("a", { draining: true })), "draining");
  assert.equal(word(node("a", { up: false, draining: true })), "draining");
  assert.equal(word(node("a", { status: { actors: [{ name: "gateway", alive: false }] } })), "slow");
  assert.equal(word(node("a", { status: { breaker: { state: "breaker_open", failures: 3 } } })), "slow");
  assert.equal(health.load_of(node("a", { up: false, engines: [{ running: 3, waiting: 4 }] }), []).waiting, 0);  // it told that before it was lost
  assert.equal(word(node("a"), [job("1", { worker: "a", tokens_per_second: 5 }), job("2", { worker: "b", tokens_per_second: 40 })]), "slow");
  assert.equal(word(node("a"), [job("1", { worker: "a", tokens_per_second: 20 }), job("2", { worker: "b", tokens_per_second: 40 })]), "ok");
});

test("alerts: one for an incident, none twice for a node that is down, none that ended", () => {
  const alert = (name, subject, more = {}) => ({ name, subject, severity: "severity_warning", text: `${name} ${subject}`, ended_us: 0, incident: "", ...more });
  const alerts = [alert("node_down", "b", { severity: "severity_critical" }), alert("x", "1", { incident: "i" }), alert("y", "2", { incident: "i" }),
                  alert("z", "3", { ended_us: 5 }), alert("q", "4", { severity: "severity_information" })];
  const said = health.problems_of({ nodes: [node("a", { alerts }), node("b", { up: false })] });
  assert.deepEqual(said.map((one) => one.text), ["b is down since 0 s", "x 1"]);
});

test("a job that no node can take is told with its reason", () => {
  const said = health.problems_of({ nodes: [node("a", { jobs: [job("77", { state: "job_waiting_for_node", worker: "", age_ms: 3000, because: "every node rests" })] })] });
  assert.deepEqual(said.map((one) => [one.text, one.link]),
                   [["a request for m has waited 3.0 s: no node can take it now: every node rests", "#job=77"]]);
});

const span = (id, name, start, lasts, parent = "1", attributes = {}, more = {}) => ({
  id, name, parent, node: "a", start_us: 1e15 + start * 1e3, duration_us: lasts * 1e3, error: "", lasts: false, events: [],
  attributes: Object.entries(attributes).map(([key, value]) => (typeof value === "string" ? { key, text: value } : { key, number: value })), ...more });

test("a story's rows: children under their parents, shares of the whole, orphans under the root", () => {
  const spans = [span("1", "request", 0, 1000, "0"), span("2", "attempt", 100, 900), span("3", "decode", 300, 700, "2"), span("4", "queue", 100, 200, "2"), span("9", "cache", 5, 1, "gone")];
  const { rows, lasts_us } = words.rows_of({ spans });
  assert.equal(lasts_us, 1e6);
  assert.deepEqual(rows.map((row) => [row.span.name, row.depth]), [["request", 0], ["attempt", 1], ["decode", 2], ["queue", 2], ["cache", 1]]);
  assert.deepEqual([rows[2].from, rows[2].width], [0.3, 0.7]);
  const loop = [span("1", "request", 0, 10, "0"), span("2", "attempt", 0, 10, "3"), span("3", "decode", 0, 10, "2")];
  assert.ok(words.rows_of({ spans: loop }).rows.length >= 1);  // parents in a ring end
});

test("a story's sentences: why it was there, what it waited for, what was lost", () => {
  const spans = [span("1", "request", 0, 2000, "0"), span("2", "route", 1, 0, "1", { "troupe.because": "b: idle; a has 3 more", "troupe.node": "b" }),
                 span("5", "attempt", 2, 500, "1", {}, { error: "node b was lost" }), span("6", "recovery", 502, 340, "1", { "troupe.because": "node b was lost", "troupe.held_tokens": 27 }),
                 span("7", "attempt", 520, 1480, "1"), span("8", "queue", 520, 300, "7", {}, { node: "c" }), span("9", "decode", 842, 1158, "7")];
  const said = words.sentences_of({ spans, job: { job_id: "x" }, finished: { reason: "length", answer_tokens: 64, provenance: { attempts: 2 } } }).map((one) => one.text);
  assert.equal(said[0], "It ended (length) with 64 tokens after 2.0 s.");
  assert.equal(said[1], "It was sent to b: idle; a has 3 more.");
  assert.match(said[2], /^It waited 340 ms of 2.0 s, most of it \(300 ms\): queued at c/);
  assert.equal(said[3], "A node was lost (node b was lost); the next token came after 340 ms, 27 tokens were kept.");
  assert.equal(said[4], "It took 2 attempts.");
  const running = words.sentences_of({ spans: [span("1", "request", 0, 900, "0")], job: { state: "job_queued", worker: "b", because: "b: idle", answer_tokens: 0 },
                                       finished: { reason: "finish_reason_unspecified" } });
  assert.deepEqual(running.map((one) => one.text), ["It goes on since 900 ms, 0 tokens so far.", "It waits: queued at b: idle."]);
  assert.match(words.sentences_of({ spans: [], job: {} })[0].text, /Nothing is remembered/);
  const failed = words.sentences_of({ spans: [span("1", "request", 0, 50, "0", {}, { error: "no room" })], finished: { reason: "failed" } });
  assert.equal(failed[0].text, "It failed after 50 ms: no room");
});

test("time that two spans share is waited once", () => {
  assert.equal(words.covered_us([span("1", "a", 0, 10), span("2", "b", 5, 10), span("3", "c", 20, 5), span("4", "d", 21, 1)]), 20e3);
  assert.equal(words.covered_us([]), 0);
});

test("history: one grid, holes stay holes, new seconds go behind old ones, bounded", () => {
  const store = make_store(), end_us = 1e15;
  const part = (name, values, at = end_us) => ({ node: name, step_ms: 2000, end_us: at, series: [{ name: "x", values }] });
  store.add({ nodes: [part("a", [1, null, 3]), part("b", [5]), { node: "c", silent: true }] });
  assert.deepEqual(store.line(["a"], ["x"], (values) => values[0]).slice(-3), [1, null, 3]);
  assert.equal(store.line(["a", "b"], ["x"], (values) => Math.max(...values)).at(-1), 5);
  store.add({ nodes: [part("a", [3, 4], end_us + 2e6)] });
  assert.deepEqual(store.line(["a"], ["x"], (values) => values[0]).slice(-4), [1, null, 3, 4]);
  store.add({ nodes: [part("a", Array(9000).fill(7), end_us + 9e9)] });
  const line = store.line(["a"], ["x"], (values) => values[0]);
  assert.equal(line.length, STEPS_MAX);
  assert.ok(line.every((value) => value === 7));
  assert.deepEqual([store.times().length, store.nodes()], [STEPS_MAX, ["a", "b"]]);
  for (let i = 0; i < 100; ++i) store.add({ nodes: [part(`n${i}`, [1])] });
  assert.equal(store.nodes().length, 64);
});

test("events arrive whole however they are cut", () => {
  const text = ": hello\n\nevent: picture\ndata: {\"a\":1}\n\nevent: silent\ndata: {}\n\n";
  for (const size of [1, 3, 7, 1000]) {
    const feed = event_reader(), got = [];
    for (let i = 0; i < text.length; i += size) got.push(...feed(text.slice(i, i + size)));
    assert.deepEqual(got.filter((one) => one.data), [{ name: "picture", data: '{"a":1}' }, { name: "silent", data: "{}" }]);
  }
  const feed = event_reader();
  assert.throws(() => { for (let i = 0; i < 40; ++i) feed("x".repeat(1 << 20)); }, /32 MiB/);
});

test("links: one line for a pair; down where an end is", () => {
  const with_link = (name, peer, up, more = {}) => ({ part: node(name, { status: { links: [{ peer, up, round_trip_us: 400, bytes_sent_per_second: 10, bytes_received_per_second: 5 }] }, ...more }) });
  assert.deepEqual(links_of([with_link("a", "b", true), with_link("b", "a", true), with_link("c", "gone", true)]),
                   [{ a: "a", b: "b", up: true, round_trip_us: 400, bytes_per_second: 15 }]);
  assert.equal(links_of([with_link("a", "b", true), with_link("b", "a", true, { up: false })])[0].up, false);
});

test("a chaos report that cannot be drawn is told why", () => {
  for (const wrong of [null, 3, {}, { plan: "p" }, { plan: "p", outcome: "passed" }, { plan: "p", outcome: "passed", timeline: { faults: [] } }]) assert.notEqual(fault_in(wrong), "");
  assert.equal(fault_in({ plan: "p", outcome: "passed", timeline: { faults: [], jobs: [], nodes: [] } }), "");
});

test("every colour of a text has a contrast of 4.5 on every ground it stands on, light and dark", () => {
  const style = readFileSync(join(folder, "style.css"), "utf8"), blocks = style.match(/:root \{[^}]*\}/g);
  assert.equal(blocks.length, 2);
  const light = (hex) => {
    const full = hex.length === 4 ? hex.replace(/[0-9a-f]/g, "$&$&") : hex;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(full.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const block of blocks) {
    const colour = Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]+)/g)].map((found) => [found[1], found[2]]));
    const check = (text, ground) => {
      const [x, y] = [light(colour[text]), light(colour[ground])].sort((p, q) => q - p), contrast = (x + 0.05) / (y + 0.05);
      assert.ok(contrast >= 4.5, `${text} ${colour[text]} on ${ground} ${colour[ground]}: ${contrast.toFixed(2)}`);
    };
    for (const text of ["ink", "muted", "ok", "warn", "bad", "accent"]) for (const ground of ["panel", "ground", "soft"]) check(text, ground);
    for (const ground of ["ok-soft", "warn-soft", "bad-soft"]) for (const text of ["ink", "muted"]) check(text, ground);
    check("warn", "warn-soft");
    check("bad", "bad-soft");
  }
});
