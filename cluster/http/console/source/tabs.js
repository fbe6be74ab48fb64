// The views as tabs; the address says which is shown: #jobs, #job=ID, #node=NAME.
import { el, set_attribute } from "./dom.js";

export function make_tabs(list, views, main, chosen) {
  const buttons = views.map((view) => el("button", {
    type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `view-${view.id}`, text: view.title, onclick: () => go(view.id) }));
  const panels = views.map((view) => el("div", { role: "tabpanel", id: `view-${view.id}`, "aria-labelledby": `tab-${view.id}`, tabindex: "0" }, view.roots));
  list.append(...buttons);
  main.append(...panels);
  list.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement), last = buttons.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at <= 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to].focus();
    go(views[to].id);
  });
  const go = (id) => { location.hash = id; };

  function follow() {
    const [word, value = ""] = location.hash.slice(1).split("=", 2);
    let about = "";
    try {
      about = decodeURIComponent(value).slice(0, 128);
    } catch { /* an address that is no address shows the first view */ }
    const id = word === "job" ? "jobs" : word === "node" ? "nodes" : views.some((view) => view.id === word) ? word : views[0].id;
    views.forEach((view, i) => {
      const here = view.id === id;
      set_attribute(buttons[i], "aria-selected", here);
      set_attribute(buttons[i], "tabindex", here ? 0 : -1);
      panels[i].hidden = !here;
      if (here) buttons[i].scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    chosen(id, word === "job" ? about : "", word === "node" ? about : "");
  }
  addEventListener("hashchange", follow);
  return { follow };
}
