// A run's frames in 3-D: which one is shown, and what of it.
import { change, element, isTyping, lastOf, openView, read } from "/requests.js";

const byId = (id) => document.getElementById(id);
const state = { at: 0, titles: [], hidden: new Set() };

async function start() {
  const info = await read("/api/start");
  state.titles = info.titles;
  state.hidden = new Set(info.hidden);
  for (const layer of info.layers) {
    const box = element("input");
    Object.assign(box, { type: "checkbox", checked: !state.hidden.has(layer) });
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(layer); else state.hidden.add(layer);
      box.blur();
      show();
    });
    const label = element("label");
    label.append(box, layer);
    const line = element("li");
    line.dataset.layer = layer;
    line.append(label);
    byId("layers").append(line);
  }
  const slider = byId("frame-slider");
  slider.max = info.titles.length - 1;
  slider.addEventListener("input", () => go(Number(slider.value)));
  byId("previous").addEventListener("click", () => go(state.at - 1));
  byId("next").addEventListener("click", () => go(state.at + 1));
  document.addEventListener("keydown", onKey);
  openView(byId("view"), info.view_port, onKey);
  go(0);
}

function go(position) {
  state.at = Math.min(state.titles.length - 1, Math.max(0, position));
  byId("frame-slider").value = state.at;
  byId("frame-title").textContent = `${state.titles[state.at]} (${state.at + 1} of ${state.titles.length})`;
  show();
}

const show = lastOf(async () => {
  const shown = state.at;
  try {
    const frame = await change("/api/show", { index: shown, hidden: [...state.hidden] });
    if (shown !== state.at) return;
    byId("message").textContent = "";
    for (const line of byId("layers").children) line.hidden = !frame.layers.includes(line.dataset.layer);
    const lines = frame.poses.map((pose) => element("li", `${pose.label} ${pose.details}`, pose.status || pose.kind.replace(" ", "-")));
    byId("poses").replaceChildren(...lines);
  } catch (error) {
    byId("message").textContent = error.message;
  }
}, 80);

function onKey(event) {
  const offset = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (!offset || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  go(state.at + offset * (event.shiftKey ? 10 : 1));
}

start().catch((error) => { byId("message").textContent = error.message; });
