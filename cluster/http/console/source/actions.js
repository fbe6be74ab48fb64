// What changes the cluster, each behind a question; and the question for a key.
import { el, set_text } from "./dom.js";
import { short_id } from "./format.js";

function ask({ title, text, yes, act }) {
  const said = el("p", { class: "bad", role: "alert", hidden: true });
  const no = el("button", { type: "button", text: "Leave it as it is", onclick: () => box.close() });
  const go = el("button", { type: "button", class: "danger", text: yes, onclick: carry_out });
  const name = el("h2", { text: title, id: "asked" });
  const box = el("dialog", { "aria-labelledby": "asked" }, name, el("p", { text }), said, el("div", { class: "row" }, no, go));
  async function carry_out() {
    go.disabled = true;
    try {
      set_text(name, await act());
      go.remove();
      set_text(no, "Close");
      no.focus();
    } catch (failure) {
      said.hidden = false;
      set_text(said, failure.message);
      go.disabled = false;
    }
  }
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  no.focus();
}

export function make_actions(read) {
  return {
    cancel(id) {
      ask({
        title: `Cancel job ${short_id(id)}?`, yes: "Cancel the job",
        text: "Its answer ends with the tokens that were made so far. This door cancels the jobs of its own node's gateway.",
        async act() {
          await read(`/v1/monitoring/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
          return `Job ${short_id(id)} was cancelled`;
        },
      });
    },
    drain(node) {
      ask({
        title: `Drain ${node}?`, yes: `Drain ${node}`,
        text: "It takes no new work, lets its jobs end or move to other nodes, and then stops. This page loses its node with it. To bring it back, start its daemon again.",
        async act() {
          await read(`/v1/nodes/${encodeURIComponent(node)}/drain`, { method: "POST" });
          return `${node} is being drained`;
        },
      });
    },
  };
}

// Asked where the node wants a key. given(key) is called with each that was entered.
export function make_key_form(given) {
  const key = el("input", { type: "password", autocomplete: "off", size: 40, id: "api-key" }), said = el("p", { class: "bad", role: "alert" });
  const root = el("form", { class: "panel", hidden: true, "aria-label": "API key", onsubmit(event) {
    event.preventDefault();
    if (key.value.trim()) given(key.value.trim());
    key.value = "";
  } },
    el("h2", { text: "This node asks for an API key" }), said,
    el("div", { class: "row" }, el("label", { class: "field", for: "api-key" }, "Key with the scope viewer (operator for log, cancel and drain)"), key, el("button", { type: "submit", text: "Look" })),
    el("p", { class: "muted", text: "It is kept in this tab only and forgotten with it. One is made with: troupe api-key make --name me --scope viewer,operator --file api.keys" }));
  return {
    root,
    show(why) {
      root.hidden = false;
      set_text(said, why);
      key.focus();
    },
    hide: () => { root.hidden = true; },
  };
}
