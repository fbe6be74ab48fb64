// Requests to the node that served this page, and the stream of pictures. The key is kept for this tab only.
const KEY = "troupe-api-key";
const EVENT_BYTES_MAX = 32 << 20;

export const key_now = () => sessionStorage.getItem(KEY) ?? "";
export const keep_key = (key) => (key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY));

export class refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function asked(path, { method = "GET", signal, accept = "application/json" } = {}) {
  const headers = { accept };
  if (key_now()) headers.authorization = `Bearer ${key_now()}`;
  let reply;
  try {
    reply = await fetch(path, { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new refusal(0, `${location.host} does not answer. Is its daemon running?`);
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => null);
  throw new refusal(reply.status, said?.error?.message ?? (typeof said?.error === "string" ? said.error : `HTTP ${reply.status}`));
}

export async function read(path, options) {
  return (await asked(path, options)).json();
}

// Text in pieces to events: feed(text) gives those that are whole, as {name, data}.
export function event_reader() {
  let held = "";
  return (text) => {
    held += text;
    if (held.length > EVENT_BYTES_MAX) throw new refusal(0, "the node sent an event of more than 32 MiB");
    const out = [];
    for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) {
      const event = { name: "message", data: "" };
      for (const line of held.slice(0, end).split("\n")) {
        const colon = line.indexOf(":"), field = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") event.name = value;
        if (field === "data") event.data += (event.data && "\n") + value;
      }
      out.push(event);
    }
    return out;
  };
}

// Pictures without end; after a loss it tries again, soon at first, then every 5 s.
// tell: {picture(picture), silent(), lost(failure, next_try_ms), refused(failure)}; refused ends it until start() is called again.
export function picture_stream(tell, interval_ms = 1000) {
  let now = null;

  async function run(stop) {
    for (let pause = 250; !stop.signal.aborted; pause = Math.min(5000, pause * 2)) {
      try {
        const attempt = new AbortController();
        stop.signal.addEventListener("abort", () => attempt.abort(), { once: true });
        const reply = await asked(`/v1/monitoring/stream?interval_ms=${interval_ms}`, { signal: attempt.signal, accept: "text/event-stream" });
        const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader(), events = event_reader();
        for (;;) {
          const late = setTimeout(() => attempt.abort(), 10 * interval_ms + 5000);
          const { value, done } = await reader.read().finally(() => clearTimeout(late));
          if (done) break;
          for (const event of events(value)) {
            if (event.name === "silent") tell.silent();
            if (event.name !== "picture") continue;
            tell.picture(JSON.parse(event.data));
            pause = 125;
          }
        }
        if (stop.signal.aborted) return;
        tell.lost(new refusal(0, "the node ended the stream"), pause);
      } catch (failure) {
        if (stop.signal.aborted) return;
        if (failure.status === 401 || failure.status === 403) return tell.refused(failure);
        tell.lost(failure, pause);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return {
    start() {
      this.stop();
      now = new AbortController();
      run(now);
    },
    stop() {
      now?.abort();
      now = null;
    },
    running: () => now !== null,
  };
}
