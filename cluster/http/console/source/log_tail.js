// Log lines of all nodes, followed while the view is shown.
import { el, set_text } from "./dom.js";
import { clock } from "./format.js";

const LINES_MAX = 1000, ASK_EACH_MS = 1000;
const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"];

export function make_log_view(read) {
  const field = (label, input) => el("label", { class: "field" }, label, input);
  const changed = () => { clear(); ask(); };
  const node = el("select", { onchange: changed }, el("option", { value: "", text: "all" }));
  const level = el("select", { onchange: changed }, LEVELS.map((name) => el("option", { value: name, text: name, selected: name === "info" })));
  const actor = el("input", { type: "text", size: 10, onchange: changed });
  const job = el("input", { type: "text", size: 12, placeholder: "id", onchange: changed });
  const words = el("input", { type: "search", size: 14, oninput: () => { for (const line of list.children) line.hidden = !fits(line.textContent); } });
  const follow = el("input", { type: "checkbox", checked: true });
  const said = el("span", { class: "muted", role: "status" });
  const list = el("ol", { class: "log", tabindex: "0", "aria-label": "Log lines, newest last" });
  const root = el("section", { class: "panel", "aria-label": "Log" },
    el("div", { class: "row" }, field("node ", node), field("from level ", level), field("actor ", actor), field("job ", job), field("contains ", words), field("follow ", follow), said), list);
  let next = [], asking = false, asked_at = -Infinity, turn = 0, widest = 0;

  const fits = (text) => text.toLowerCase().includes(words.value.trim().toLowerCase());
  function clear() {
    ++turn;
    next = [];
    asking = false;
    list.replaceChildren();
  }
  function line_of(line) {
    const name = line.level.replace(/^level_/, ""), more = line.more_alike ? ` (and ${line.more_alike} alike before it)` : "";
    const text = `${clock(line.at_us)} ${line.node.padEnd(widest)} ${name.padEnd(5)} ${line.actor ? `${line.actor}: ` : ""}${line.text}${more}`;
    return el("li", { class: name, text, hidden: !fits(text) });
  }
  async function ask() {
    if (asking) return;
    const mine = turn;
    asking = true;
    asked_at = performance.now();
    const query = new URLSearchParams({ level: level.value, lines: next.length ? 500 : 200 });
    if (node.value) query.set("node", node.value);
    if (actor.value.trim()) query.set("actor", actor.value.trim());
    if (job.value.trim().length >= 4) query.set("job", job.value.trim());
    if (next.length) query.set("after", next.map((one) => `${one.node}:${one.incarnation}:${one.sequence}`).join(","));
    try {
      const part = await read(`/v1/monitoring/log?${query}`);
      if (mine !== turn) return;
      const heard = new Map([...next, ...(part.next ?? [])].map((one) => [one.node, one]));  // a silent node keeps its place
      next = [...heard.values()].slice(0, 256);
      list.append(...(part.lines ?? []).slice(-LINES_MAX).map(line_of));
      while (list.children.length > LINES_MAX) list.firstChild.remove();
      if (follow.checked && part.lines?.length) list.scrollTop = list.scrollHeight;
      set_text(said, [part.dropped ? `${part.dropped} lines were gone before they were read` : "", part.silent?.length ? `no answer from ${part.silent.join(", ")}` : "",
                      list.children.length ? "" : "no lines"].filter(Boolean).join("; "));
    } catch (failure) {
      if (mine === turn) set_text(said, failure.status === 403 ? `${failure.message}. The log needs a key with the scope operator.` : failure.message);
    }
    if (mine === turn) asking = false;
  }
  return {
    root,
    show(state) {
      widest = Math.min(20, Math.max(...state.picture.nodes.map((part) => part.node.length)));
      const names = state.picture.nodes.map((part) => part.node).slice(0, 64);
      if (node.dataset.names !== names.join("\n")) {
        node.dataset.names = names.join("\n");
        const chosen = node.value;
        node.replaceChildren(el("option", { value: "", text: "all" }), ...names.map((name) => el("option", { value: name, text: name })));
        node.value = names.includes(chosen) ? chosen : "";
      }
      if (follow.checked && performance.now() - asked_at >= ASK_EACH_MS) ask();
    },
  };
}
