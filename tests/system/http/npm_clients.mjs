// The clients that people use, against a running HTTP door: node npm_clients.mjs URL EXPECTED-TEXT. Exit 0 where all holds.
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI from "openai";

const [url, expected] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const ask = { model: "tiny", prompt: "Once upon", max_tokens: 12, seed: 7, ignore_eos: true };

const models = await openai.models.list();
assert.equal(models.data[0].id, "tiny");

const whole = await openai.completions.create(ask);
assert.equal(whole.choices[0].text, expected);
assert.equal(whole.usage.completion_tokens, 12);

let told = "", usage = null;
for await (const chunk of await openai.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
  told += chunk.choices[0]?.text ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(told, expected);
assert.equal(usage.completion_tokens, 12);

await assert.rejects(openai.completions.create({ ...ask, temperature: -1 }),
                     (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature");
await assert.rejects(openai.completions.create({ ...ask, model: "none" }), OpenAI.NotFoundError);

const aborted = await openai.completions.create({ ...ask, max_tokens: 2000, stream: true });
for await (const chunk of aborted) {
  assert.ok(chunk.id.startsWith("cmpl-"));
  break;
}

// What a node may not serve yet is refused by name; where it is served, its shape is checked.
async function served(name, make, check) {
  try {
    check(await make());
    console.log(`${name}: served`);
  } catch (e) {
    if (!(e instanceof OpenAI.APIError) || e.code !== "unsupported") throw e;
    console.log(`${name}: refused by name: ${e.message}`);
  }
}
const messages = [{ role: "user", content: "Say something." }];
await served("chat", () => openai.chat.completions.create({ model: "tiny", messages, max_tokens: 8, seed: 7, logprobs: true }), (c) => {
  assert.equal(c.choices[0].message.role, "assistant");
  const tokens = c.choices[0].logprobs.content;
  assert.equal(tokens.length, c.usage.completion_tokens);
  assert.equal(Buffer.from(tokens.flatMap((token) => token.bytes)).toString(), c.choices[0].message.content);
});
await served("chat stream", async () => {
  let text = "", roles = 0;
  for await (const c of await openai.chat.completions.create({ model: "tiny", messages, max_tokens: 8, seed: 7, stream: true })) {
    text += c.choices[0].delta.content ?? "";
    roles += c.choices[0].delta.role === "assistant";
  }
  const again = await openai.chat.completions.create({ model: "tiny", messages, max_tokens: 8, seed: 7 });
  return { text, roles, again: again.choices[0].message.content };
}, (seen) => {
  assert.equal(seen.roles, 1);
  assert.equal(seen.text, seen.again);
});
await served("schema", () => openai.chat.completions.create({
  model: "tiny", messages, max_tokens: 200, seed: 7, response_format: { type: "json_schema", json_schema: {
    name: "n", strict: true, schema: { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false } } } }),
             (c) => assert.equal(typeof JSON.parse(c.choices[0].message.content).ok, "boolean"));
await served("embeddings", () => openai.embeddings.create({ model: "tiny", input: ["a", "b"] }), (e) => {
  assert.equal(e.data.length, 2);
  assert.ok(Math.abs(Math.hypot(...e.data[0].embedding) - 1) < 1e-3);
});

const ollama = new Ollama({ host: url });
assert.equal((await ollama.list()).models[0].name, "tiny");
const options = { num_predict: 12, seed: 7, temperature: 0 };
const said = await ollama.generate({ model: "tiny", prompt: "Once upon", raw: true, options });
let pieces = "";
for await (const part of await ollama.generate({ model: "tiny", prompt: "Once upon", raw: true, options, stream: true }))
  pieces += part.response;
assert.equal(pieces, said.response);
const chat = { model: "tiny", messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Well?" }], options };
const answered = await ollama.chat(chat);
assert.equal(answered.message.role, "assistant");
assert.ok(answered.done && answered.eval_count > 0 && answered.prompt_eval_count > 0);
let chatted = "";
for await (const part of await ollama.chat({ ...chat, stream: true })) chatted += part.message.content;
assert.equal(chatted, answered.message.content);
const templated = await ollama.generate({ model: "tiny", system: "Be brief.", prompt: "Well?", options });
assert.equal(templated.response, answered.message.content);
await assert.rejects(ollama.generate({ model: "none", prompt: "x", raw: true, options }), /none/);
console.log("all hold");
process.exit(0);
