// A walk through the web console at two real nodes, in headless Chromium: node console_browser.mjs JSON. Exit 0 where all holds.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { chromium: program, root, urls, second_pid, guarded_url, key, report, out } = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath: program, args: root ? ["--no-sandbox"] : [] });
const said = [], requests = [];

async function opened(address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (failure) => said.push(failure.stack ?? failure.message));
  page.on("dialog", (dialog) => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(address);
  return page;
}
const text_of = (page, selector) => page.locator(selector).innerText();
const until = (page, body, argument, wait = 30_000) => page.waitForFunction(body, argument, { timeout: wait, polling: 50 });
const shot = (page, name) => page.screenshot({ path: `${out}/${name}.png` });
const step = (name) => console.log(`${(performance.now() / 1000).toFixed(1)} s: ${name}`);

async function submit(at, more = {}) {
  const reply = await fetch(`${urls[at]}/v1/jobs`, { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt: "Once upon a time", max_tokens: 400, seed: 7, ignore_eos: true, ...more }) });
  assert.equal(reply.status, 202, await reply.clone().text());
  return (await reply.json()).id;
}

// Gives the job's id once its answer is whole.
async function complete(at, more) {
  const reply = await fetch(`${urls[at]}/v1/completions`, { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", ignore_eos: true, ...more }) });
  assert.equal(reply.status, 200, await reply.clone().text());
  await reply.text();
  return reply.headers.get("troupe-job");
}

const page = await opened(`${urls[0]}/console`);
await until(page, () => document.querySelector("#verdict").innerText.includes("All is well: 2 nodes up"));
assert.match(await text_of(page, "#figures"), /2 of 2/);
for (const name of ["mainpc", "pc2"]) assert.ok(await page.locator(`.map a[aria-label^="${name}: ok"]`).count() === 1, name);
assert.match(await text_of(page, "#heard"), /heard (now|\d+ s ago)/);
await until(page, () => document.querySelectorAll(".plot canvas").length === 6);
await shot(page, "quiet");
step("both nodes are seen, and six plots");

// Jobs run; one is clicked through to its story. A fast machine ends them between two pictures: more come until two are seen at once.
const ids = [];
const running = () => document.querySelectorAll("#view-overview table a[href^='#job=']").length >= 2;
const fed_until = async (done) => {
  for (let round = 0; round < 120; ++round) {
    if (ids.length < 200) for (let i = 0; i < 8; ++i) ids.push(await submit(i % 2, { prompt: `Once upon a time there were ${ids.length}`, seed: i, max_tokens: 900 }));
    for (let look = 0; look < 5; ++look, await page.waitForTimeout(50)) {
      const got = await page.evaluate(done);
      if (got) return got;
    }
  }
  return null;
};
assert.ok(await fed_until(running), "running jobs are seen");
await shot(page, "running");
const asked = await fed_until(() => {
  const link = document.querySelector("#view-overview table a[href^='#job=']");
  link?.click();
  return link?.getAttribute("href");
});
assert.ok(asked, "a running job is opened");
await until(page, () => [...document.querySelectorAll(".fall li b")].some((one) => one.innerText === "request"));
assert.equal(await page.evaluate(() => document.activeElement.tagName), "H2");
await until(page, () => /It ended|It failed/.test(document.querySelector(".said")?.innerText ?? ""), null, 90_000);
const story = await text_of(page, ".said"), fall = await text_of(page, ".fall");
assert.match(story, /It ended \(length\) with \d+ tokens/);
assert.match(story, /It was sent to (mainpc|pc2)/);
for (const name of ["route", "cache", "attempt", "queue", "prefill", "decode"]) assert.ok(fall.includes(name), `${name} in ${fall}`);
await shot(page, "story");
const again = await opened(`${urls[0]}/console${asked}`);  // the same by its address
await until(again, () => /It ended/.test(document.querySelector(".said")?.innerText ?? ""));
await again.context().close();
step("a job's story");

// By keyboard alone: every view, and what is in it.
await page.goto(`${urls[0]}/console#overview`);
await page.reload();  // so that Tab begins at the page's beginning, and not behind the story's title
await until(page, () => document.querySelector("[role=tab][aria-selected=true]")?.id === "tab-overview");
for (let i = 0; i < 20 && (await page.evaluate(() => document.activeElement.getAttribute("role"))) !== "tab"; ++i) await page.keyboard.press("Tab");
const walked = [];
for (let i = 0; i < 7; ++i) {
  const now = await page.evaluate(() => ({ id: document.activeElement.id, outline: getComputedStyle(document.activeElement).outlineStyle,
    shown: [...document.querySelectorAll("[role=tabpanel]")].filter((one) => !one.hidden).map((one) => one.id) }));
  walked.push(now.id);
  assert.deepEqual(now.shown, [now.id.replace("tab-", "view-")]);
  assert.equal(now.outline, "solid", `the focus on ${now.id} is seen`);
  await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(50);
}
assert.deepEqual(walked, ["overview", "jobs", "nodes", "models", "alerts", "log", "chaos"].map((id) => `tab-${id}`));
await page.goto(`${urls[0]}/console#nodes`);
await until(page, () => document.querySelectorAll("#view-nodes tbody tr").length > 4);
await page.locator("#tab-nodes").focus();
const reached = new Set();
for (let i = 0; i < 60; ++i) {
  await page.keyboard.press("Tab");
  reached.add(await page.evaluate(() => document.activeElement.innerText || document.activeElement.getAttribute("aria-label") || ""));
}
for (const wanted of ["health", "Filter Nodes", "Drain mainpc…", "busy", "Filter Actors"]) assert.ok(reached.has(wanted), `${wanted} is reached by Tab: ${[...reached].join("|")}`);
const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, input, select, a, [role=region], [role=tabpanel]")]
  .filter((one) => !(one.innerText || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.closest("label") || document.querySelector(`label[for="${one.id}"]`))
                   && !one.hidden && one.getClientRects().length > 0).map((one) => one.outerHTML.slice(0, 120)));
assert.deepEqual(unnamed, []);
assert.deepEqual(await page.evaluate(() => ["header", "nav", "main", "h1"].filter((one) => document.querySelectorAll(one).length !== 1)), []);
step("by keyboard");

// Sorting and filtering keep what they say.
await page.locator("#view-nodes button", { hasText: /^mailbox$/ }).click();
assert.equal(await page.locator("#view-nodes th[aria-sort=descending]", { hasText: "mailbox" }).count(), 1);
await page.getByLabel("Filter Actors").fill("gateway");
await until(page, () => [...document.querySelectorAll("#view-nodes section[aria-label=Actors] tbody tr")].every((one) => one.innerText.includes("gateway")));
await page.getByLabel("Filter Actors").fill("nothing of the kind");
assert.match(await text_of(page, "#view-nodes section[aria-label=Actors] .empty"), /contains/);

// The log of both nodes.
await page.goto(`${urls[0]}/console#log`);
await until(page, () => ["mainpc", "pc2"].every((name) => [...document.querySelectorAll(".log li")].some((one) => one.innerText.includes(` ${name} `))));
await shot(page, "log");

// A chaos run's report: its texts stay texts.
await page.goto(`${urls[0]}/console#chaos`);
await page.setInputFiles("input[type=file]", { name: "wrong.json", mimeType: "application/json", buffer: Buffer.from("{}") });
await until(page, () => document.querySelector("#view-chaos [role=alert]").innerText.includes("wrong.json cannot be shown"));
await page.setInputFiles("input[type=file]", report);
await until(page, () => document.querySelectorAll("#view-chaos rect.fault").length >= 1 && document.querySelectorAll("#view-chaos rect.job, #view-chaos rect.moved").length > 2);
assert.ok((await text_of(page, "#view-chaos h2")).includes("<img src=x onerror=alert(1)>"));
assert.equal(await page.locator("#view-chaos img").count(), 0);
await shot(page, "chaos");
step("tables, log, a chaos run");

// A long job is cancelled, behind a question.
const crowd = new AbortController();
const before_it = Array.from({ length: 56 }, (_, i) => fetch(`${urls[i % 2]}/v1/completions`, { method: "POST", signal: crowd.signal,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ model: "tiny", ignore_eos: true, prompt: `One of many before it: ${i}`, max_tokens: 1900 }) }).then((reply) => reply.text()).catch(() => {}));
const long = await submit(0, { prompt: "A long one", max_tokens: 1900, priority: "background" });
await page.goto(`${urls[0]}/console#job=${long}`);
await page.getByRole("button", { name: "Cancel this job…" }).click();
await page.getByRole("button", { name: "Leave it as it is" }).click();
await until(page, () => document.querySelectorAll("dialog").length === 0);
await page.getByRole("button", { name: "Cancel this job…" }).click();
await page.getByRole("button", { name: "Cancel the job" }).click();
await until(page, () => document.querySelector("dialog h2")?.innerText.includes("was cancelled"));
await page.getByRole("button", { name: "Close" }).click();
const state = await (await fetch(`${urls[0]}/v1/jobs/${long}`)).json();
assert.match(JSON.stringify(state), /cancel/);
await page.goto(`${urls[0]}/console#nodes`);
await page.getByRole("button", { name: "Drain mainpc…" }).click();
await page.keyboard.press("Escape");
await until(page, () => document.querySelectorAll("dialog").length === 0);
crowd.abort();
await Promise.all(before_it);
step("a job is cancelled");

// Nothing leaves a screen of 360 pixels, light or dark.
for (const scheme of ["light", "dark"]) {
  const small = await opened(`${urls[0]}/console`, { viewport: { width: 360, height: 740 }, colorScheme: scheme, reducedMotion: "reduce" });
  await until(small, () => document.querySelectorAll(".map a").length === 2);
  for (const view of ["overview", "jobs", "nodes", "node=pc2", "models", "alerts", "log", "chaos", asked.slice(1)]) {
    await small.evaluate((to) => { location.hash = to; }, view);
    await small.waitForTimeout(400);
    const over = await small.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${view} is ${over} pixels wider than the screen`);
  }
  await small.evaluate(() => { location.hash = "overview"; });
  await small.waitForTimeout(300);
  await shot(small, `small-${scheme}`);
  await small.context().close();
}
step("360 pixels");
const before = said.splice(0);
assert.deepEqual(before, [], "the browser's console has no errors");

// A node that asks for keys: told once, kept for the tab, forgotten on request.
const guarded = await opened(`${guarded_url}/console`);
const entry = guarded.getByLabel("Key with the scope viewer");
await entry.fill("not-a-key");
await guarded.keyboard.press("Enter");
await until(guarded, () => document.querySelector("form[aria-label='API key'] [role=alert]").innerText.includes("API key"));
await entry.fill(key);
await guarded.keyboard.press("Enter");
await until(guarded, () => /All is well/.test(document.querySelector("#verdict").innerText));
assert.deepEqual(await guarded.evaluate((k) => [localStorage.length, document.cookie, location.href.includes(k), document.body.innerText.includes(k)], key), [0, "", false, false]);
await guarded.getByRole("button", { name: "Forget the key" }).click();
await until(guarded, () => document.querySelector("form[aria-label='API key']")?.hidden === false);
await guarded.context().close();
assert.ok(said.every((line) => line.includes("401")), said.join("\n"));
said.length = 0;
step("keys");

// A node is killed: seen within two seconds of the page's time, and its jobs go on elsewhere.
await page.goto(`${urls[0]}/console#overview`);
const moved = Array.from({ length: 24 }, (_, i) => complete(0, { prompt: `Of ${i} machines`, seed: 20 + i, max_tokens: 1900 }));
await until(page, () => [...document.querySelectorAll("#view-overview section[aria-label='Running jobs'] tbody tr")].some((one) => one.innerText.includes("pc2")));
await page.evaluate(() => {
  window.down_at = 0;
  new MutationObserver(() => {
    const plate = document.querySelector(".map a[aria-label^='pc2: down']");
    if (!window.down_at && plate?.classList.contains("bad") && /pc2 is down/.test(document.querySelector("#verdict.bad")?.innerText ?? "")) window.down_at = Date.now();
  }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
});
await until(page, () => /pc2 is slow|mainpc is slow/.test(document.querySelector("header").innerText));  // 24 requests for four places
await shot(page, "slow");
for (let i = 0; i < 30; ++i) moved.push(complete(0, { prompt: `Of ${i} more machines`, seed: 60 + i, max_tokens: 1900 }));  // so that pc2 has work when it dies
await until(page, async () => {
  const picture = await (await fetch("/v1/monitoring/picture")).json();
  return picture.nodes.flatMap((part) => part.jobs).some((job) => job.worker === "pc2" && job.answer_tokens > 0 && job.answer_tokens < 1500);
});
const killed_at = Date.now();
process.kill(second_pid, "SIGKILL");
await until(page, () => window.down_at > 0);
const took = (await page.evaluate(() => window.down_at)) - killed_at;
console.log(`pc2 was seen down ${took} ms after SIGKILL`);
await shot(page, "down");
assert.ok(took < 2000, `pc2 was seen down only after ${took} ms`);
assert.match(await text_of(page, "#announced"), /pc2 is down/);
assert.match(await page.title(), /✕/);
step("a node is killed");

let recovered = "";
for (const id of await Promise.all(moved)) {
  if (recovered) break;
  await page.goto("about:blank");  // nothing of the story before
  await page.goto(`${urls[0]}/console#job=${id}`);
  await until(page, () => /It ended|It failed/.test(document.querySelector(".said")?.innerText ?? ""), null, 90_000);
  if (/A node was lost/.test(await text_of(page, ".said"))) recovered = id;
}
assert.ok(recovered, "a job that ran at pc2 says that its node was lost");
assert.match(await text_of(page, ".fall"), /recovery/);
await shot(page, "recovered");
assert.deepEqual(said, [], "the browser's console has no errors");
const others = requests.filter((url) => !url.startsWith("data:") && ![...urls, guarded_url].some((own) => url.startsWith(`${own}/`)));
assert.deepEqual(others, [], "no request goes to another origin");
step("a job's recovery");
await browser.close();
