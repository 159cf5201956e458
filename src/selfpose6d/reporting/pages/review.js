// One instance at a time: large pictures, single keys. Every decision is written before the next instance is shown.
import { change, element, isTyping, lastOf, openView, read } from "/requests.js";

const KINDS = ["photo", "rendering", "outlines", "depth"];
const CAPTIONS = {
  photo: "photo", rendering: "rendering", outlines: "outlines: pose, and mask in magenta",
  depth: "depth: blue in front of what was measured, red behind it (20 mm)",
};
const STEPS = [0.5, 1, 2, 5, 10, 20];
const BLINK_MS = 600;
const CORRECTED = "corrected";
const byId = (id) => document.getElementById(id);

const state = {
  items: [], at: 0, item: null, pose: "0", kind: "rendering", correcting: false, correction: null, step: 2,
  decided: 0, total: 0, blinking: 0, busy: false,
};

async function start() {
  const info = await read("/api/start");
  const form = byId("filter");
  fill(form.status, ["", ...info.statuses], "all");
  fill(form.object, ["", ...info.objects], "all");
  fill(form.order, info.orders);
  for (const name of ["status", "object"]) choose(form[name], info.filter[name]);
  form.order.value = info.filter.order;
  form.reason.value = info.filter.reason;
  form.low.value = info.filter.low;
  form.high.value = info.filter.high;
  form.addEventListener("input", lastOf(() => load().catch(say), 250));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => event.target.tagName === "SELECT" && event.target.blur());
  document.addEventListener("keydown", onKey);
  for (const button of document.querySelectorAll("button[data-key]")) {
    button.addEventListener("click", () => { button.blur(); press(button.dataset.key, false); });
  }
  byId("rendering").addEventListener("error", explain);
  openView(byId("view"), info.view_port, onKey);
  setInterval(followDrag, 400);
  await load();
}

function fill(select, values, nothing = "") {
  for (const value of values) {
    const option = element("option", value || nothing);
    option.value = value;
    select.append(option);
  }
}

// A filter of several values, as the command line may give it, is one more choice.
function choose(select, values) {
  const value = values.join("\n");
  if (![...select.options].some((option) => option.value === value)) {
    const option = element("option", values.join(", "));
    option.value = value;
    select.append(option);
  }
  select.value = value;
}

async function load() {
  const form = byId("filter");
  const names = ["status", "object", "reason", "low", "high", "order"];
  const found = await read("/api/items", Object.fromEntries(names.map((name) => [name, form[name].value])));
  state.items = found.items.map(([index, verdict]) => ({ index, verdict }));
  count(found);
  say("");
  const open = state.items.findIndex((item) => !item.verdict);
  await go(Math.max(0, open));
  if (state.items.length && open < 0) say("all of these are decided");
}

function count(progress) {
  Object.assign(state, { decided: progress.decided, total: progress.total });
  const here = state.items.filter((item) => item.verdict).length;
  byId("progress").textContent =
    `${here} of ${state.items.length} decided, ${state.items.length - here} left` +
    (state.items.length < state.total ? ` (in all ${state.decided} of ${state.total})` : "");
  byId("bar").max = Math.max(1, state.items.length);
  byId("bar").value = here;
}

async function go(position) {
  state.at = position;
  const entry = state.items[position];
  leaveCorrection();
  if (!entry) {
    state.item = null;
    byId("name").textContent = "nothing to review";
    for (const id of ["where", "status", "confidence", "reason", "verdict"]) byId(id).textContent = "";
    byId("measures").replaceChildren();
    byId("tiles").replaceChildren();
    for (const kind of KINDS) byId(kind).removeAttribute("src");
    say("no pose passes this filter");
    return;
  }
  const item = await read("/api/item", { index: entry.index });
  if (state.items[state.at] !== entry) return;
  state.item = item;
  entry.verdict = item.verdict;
  const { verdict } = item;
  state.pose = verdict?.kind === "alternative" ? String(verdict.alternative) : verdict?.kind === "pose" ? CORRECTED : "0";
  state.correction = item.correction;
  if (state.kind === "photo") state.kind = "rendering";
  describe(item);
  tile(item);
  show();
  prefetch(position + 1);
}

function describe(item) {
  byId("name").textContent = item.name;
  byId("where").textContent =
    `${state.at + 1} of ${state.items.length}: scene ${item.scene_id}, image ${item.im_id}${item.file && ` (${item.file})`}, object ${item.obj_id}, ` +
    `instance ${item.inst_id}`;
  byId("status").textContent = item.status;
  byId("status").className = `status ${item.status}`;
  byId("confidence").textContent = `confidence ${number(item.confidence, 3)}`;
  byId("reason").textContent = item.reason;
  sayVerdict(item.verdict);
  const measures = byId("measures");
  measures.replaceChildren();
  for (const [name, value] of Object.entries(item.measures)) {
    const [title, shown] = name.endsWith("_m") ? [`${name.slice(0, -2)} mm`, value === null ? null : 1000 * value] : [name, value];
    measures.append(element("dt", title.replace("_", " ")), element("dd", number(shown, 2)));
  }
}

function sayVerdict(verdict) {
  const chosen = verdict?.kind === "alternative" ? ` ${verdict.alternative + 1}` : "";
  byId("verdict").textContent = verdict ? `decided: ${verdict.kind}${chosen} (${verdict.time})` : "";
}

function tile(item) {
  const tiles = item.alternatives.map((confidence, pose) => {
    const figure = element("figure");
    const image = element("img");
    image.src = picture(item.index, pose, "rendering", "tile");
    image.alt = `alternative ${pose + 1}`;
    const key = pose < 9 ? `${pose + 1}: ` : "";
    figure.append(image, element("figcaption", `${key}${number(confidence, 2)}`));
    figure.dataset.pose = pose;
    figure.addEventListener("click", () => { state.pose = String(pose); show(); });
    return figure;
  });
  byId("tiles").replaceChildren(...tiles);
}

function picture(index, pose, kind, size = "large", version = 0) {
  return `/api/picture?${new URLSearchParams({ index, pose, kind, size, version })}`;
}

function show() {
  const { item } = state;
  if (!item) return;
  showKind(state.kind);
  for (const figure of byId("tiles").children) {
    figure.classList.toggle("shown", figure.dataset.pose === state.pose);
    const { verdict } = item;
    const chosen = verdict?.kind === "alternative" ? verdict.alternative : verdict?.kind === "accept" ? 0 : -1;
    figure.classList.toggle("chosen", Number(figure.dataset.pose) === chosen);
  }
  if (!byId("view").hidden) showIn3d();
}

const showIn3d = lastOf(() => {
  if (!state.item) return;
  const { index } = state.item;
  change("/api/show", { index, pose: state.pose, correcting: state.correcting }).catch(say);
}, 120);

// The photo and what is looked at; other kinds are drawn when they are asked for.
function showKind(kind) {
  const { item } = state;
  const version = state.pose === CORRECTED ? `${state.correction?.version} ${item?.verdict?.time}` : 0;
  for (const wanted of item ? new Set([kind, "photo"]) : []) {
    const source = picture(item.index, wanted === "photo" ? "0" : state.pose, wanted, "large", version);
    if (byId(wanted).getAttribute("src") !== source) byId(wanted).src = source;
  }
  for (const other of KINDS) byId(other).classList.toggle("shown", other === kind);
  const pose = state.pose === CORRECTED ? "corrected pose, " : state.item?.alternatives.length ? `${Number(state.pose) + 1}, ` : "";
  byId("caption").textContent = kind === "photo" ? CAPTIONS.photo : pose + CAPTIONS[kind];
}

// Why there is no picture.
async function explain() {
  const { item } = state;
  const reason = item && (await read("/api/trouble", { index: item.index }).catch(() => ""));
  if (reason && state.item === item) say(reason);
}

function prefetch(position) {
  const next = state.items[position];
  if (!next) return;
  for (const kind of ["photo", "rendering"]) new Image().src = picture(next.index, "0", kind);
}

function say(message) {
  byId("message").textContent = message instanceof Error ? message.message : message;
}

function number(value, digits) {
  return value === null || value === undefined ? "-" : Number(value).toFixed(digits);
}

async function decide(content) {
  const entry = state.items[state.at];
  if (!entry || !state.item) return;
  const done = await change("/api/decide", { index: entry.index, ...content });
  entry.verdict = done.verdict;
  count(done);
  await goOn();
}

// The next one without a verdict, from here on and then from the beginning.
async function goOn() {
  const order = [...state.items.keys()];
  const after = [...order.slice(state.at + 1), ...order.slice(0, state.at)];
  const open = after.find((position) => !state.items[position].verdict);
  if (open !== undefined) {
    say("");
    return go(open);
  }
  await go(state.at);
  say(state.items[state.at]?.verdict ? "all of these are decided" : "this is the last one without a decision");
}

async function undo() {
  const done = await change("/api/undo");
  if (done.index === null) return say("nothing to undo");
  let position = state.items.findIndex((item) => item.index === done.index);
  if (position < 0) {
    state.items.push({ index: done.index, verdict: done.verdict });
    position = state.items.length - 1;
  }
  state.items[position].verdict = done.verdict;
  count(done);
  await go(position);
  say("taken back");
}

async function accept() {
  if (state.pose === CORRECTED) return decide({ kind: "pose" });
  return decide(state.pose === "0" ? { kind: "accept" } : { kind: "alternative", alternative: Number(state.pose) });
}

function step(offset) {
  const at = STEPS.indexOf(state.step);
  state.step = STEPS[Math.min(STEPS.length - 1, Math.max(0, at + offset))];
  byId("step").textContent = `${state.step} mm, ${state.step}°`;
}

async function enterCorrection() {
  if (!state.item) return;
  await correct({});
  state.correcting = true;
  byId("correcting").hidden = false;
  step(0);
  show();
}

function leaveCorrection() {
  state.correcting = false;
  byId("correcting").hidden = true;
}

// `pose` is where the correction starts, where there is none yet.
async function correct(content) {
  const { item } = state;
  takeCorrection(item, await change("/api/correct", { index: item.index, pose: state.pose, ...content }));
}

function takeCorrection(item, correction) {
  if (state.item !== item) return;
  state.correction = correction;
  state.pose = CORRECTED;
  byId("moved").textContent = `${number(correction.moved_mm, 1)} mm, ${number(correction.rotated_deg, 1)}° from the start`;
  byId("evidence").textContent = correction.evidence;
  show();
}

async function refine() {
  const { item } = state;
  say("refining ...");
  takeCorrection(item, await change("/api/refine", { index: item.index, pose: state.pose }));
  say("");
}

async function back() {
  const { item } = state;
  takeCorrection(item, await change("/api/back", { index: item.index }));
}

async function forget() {
  const { item } = state;
  leaveCorrection();
  await change("/api/forget", { index: item.index });
  state.correction = null;
  state.pose = item.verdict?.kind === "pose" ? CORRECTED : "0";
  show();
}

async function followDrag() {
  const { item } = state;
  if (!state.correcting || state.busy) return;
  const correction = await read("/api/corrected", { index: item.index }).catch(() => null);
  if (correction && state.correcting && state.item === item && correction.version !== state.correction?.version) {
    takeCorrection(item, correction);
  }
}

const MOVES = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
// About the camera's axes, so that the side that faces the camera goes where the arrow points.
const ROTATIONS = { ArrowLeft: [0, 1, 0], ArrowRight: [0, -1, 0], ArrowUp: [1, 0, 0], ArrowDown: [-1, 0, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };

function correctionKey(key, shift) {
  const scaled = (axis) => axis.map((part) => part * state.step);
  if (key in MOVES) return () => correct(shift ? { rotate_deg: scaled(ROTATIONS[key]) } : { move_mm: scaled(MOVES[key]) });
  return {
    "-": () => step(-1), "+": () => step(1), "=": () => step(1), f: refine, u: back, Enter: accept, Escape: forget, e: forget,
  }[key];
}

function action(key, shift) {
  const correcting = state.correcting ? correctionKey(key, shift) : undefined;
  if (correcting) return correcting;
  if (key === "Tab" && !state.item?.alternatives.length) return undefined;
  if (/^[1-9]$/.test(key)) return () => decide({ kind: "alternative", alternative: Number(key) - 1 });
  return {
    a: accept, r: () => decide({ kind: "reject" }), u: undo, s: goOn, e: enterCorrection,
    n: () => move(1), p: () => move(-1), ArrowRight: () => move(1), ArrowLeft: () => move(-1),
    ArrowDown: () => move(1), ArrowUp: () => move(-1), Tab: () => lookAlong(shift ? -1 : 1),
    " ": () => switchTo("photo"), o: () => switchTo("outlines"), d: () => switchTo("depth"), b: blink, v: toggleView,
  }[key];
}

async function move(offset) {
  const position = state.at + offset;
  if (position < 0 || position >= state.items.length) return say(offset > 0 ? "this is the last one" : "this is the first one");
  say("");
  await go(position);
}

function lookAlong(offset) {
  const many = state.item?.alternatives.length ?? 0;
  if (!many) return;
  state.pose = String((Number(state.pose === CORRECTED ? 0 : state.pose) + offset + many) % many);
  show();
}

// To a kind of picture, and back to the rendering.
function switchTo(kind) {
  stopBlinking();
  state.kind = state.kind === kind ? "rendering" : kind;
  show();
}

function blink() {
  if (state.blinking) return stopBlinking();
  let photo = false;
  state.blinking = setInterval(() => {
    photo = !photo;
    showKind(photo ? "photo" : state.kind === "photo" ? "rendering" : state.kind);
  }, BLINK_MS);
}

function stopBlinking() {
  clearInterval(state.blinking);
  state.blinking = 0;
  showKind(state.kind);
}

function toggleView() {
  byId("view").hidden = !byId("view").hidden;
  show();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!action(key, event.shiftKey)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  press(key, event.shiftKey, event.repeat);
}

// One at a time: a key pressed while the last decision is being written is not about the instance that is shown.
async function press(key, shift, repeat = false) {
  if (state.busy || (repeat && !(key in MOVES))) return;
  setBusy(true);
  try {
    await action(key, shift)?.();
  } catch (error) {
    say(error);
  } finally {
    setBusy(false);
  }
}

function setBusy(busy) {
  state.busy = busy;
  document.body.classList.toggle("busy", busy);
}

setBusy(true);
start().catch(say).finally(() => setBusy(false));
