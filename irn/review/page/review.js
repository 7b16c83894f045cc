// One image at a time: it is edited here, and decisions, and edits without one, are sent to the server as one goes.
"use strict";

const $ = (id) => document.getElementById(id);
const STEP = 0.02; // of a threshold, by key
const MOST_OBJECTS = 254;
const KEPT = 255; // the value of void pixels, and of those of a class without an object: they stay unless painted or erased
const MOST_UNDO = 200;
const stage = $("stage"), scroller = $("scroller"), fill = $("fill"), lines = $("lines"), tip = $("brush-tip");

let run; // the overview: names of classes, colours, images with their decisions
let at = 0; // index of the image
let image = null; // the image that is shown; null while it is loaded
let tool = "select", selected = 0, zoom = 1;
let past = [], future = [], lastKind = "";
let pointer = { x: 0, y: 0 }; // of the brush, in pixels of the image
let pixels, colourOf = new Uint32Array(256); // what is in the canvas `fill`, and the colour of each object

// ---- run lengths, as in irn/review/runs.py

function runsOf(objects) {
  const runs = [];
  for (let start = 0, i = 1; i <= objects.length; i++) {
    if (i < objects.length && objects[i] === objects[start]) continue;
    runs.push(objects[start], i - start);
    start = i;
  }
  return runs;
}

function mapOf(runs, length) {
  const objects = new Uint8Array(length);
  for (let i = 0, from = 0; i < runs.length; i += 2) {
    objects.fill(runs[i], from, from + runs[i + 1]);
    from += runs[i + 1];
  }
  return objects;
}

// ---- the server

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { refused: response.status < 500 });
  return answer;
}

// What is to be written, in order. It stays in the list until the server has it, or has refused it.
const unsaved = [];
const refused = new Map(); // why, by index of the image, until something of that image is saved
let saving = false;

function save(path, index, body) {
  // Later edits of an image replace earlier ones.
  const last = unsaved.at(-1);
  if (path === "begun" && last && last.path === path && last.index === index && !last.sent) unsaved.pop();
  unsaved.push({ path, index, body });
  if (!saving) sendAll();
}

async function sendAll() {
  saving = true;
  while (unsaved.length) {
    const { path, index } = unsaved[0], { id, stamp } = run.images[index];
    const body = JSON.stringify({ ...unsaved[0].body, stamp });
    unsaved[0].sent = true;
    try {
      const options = { method: "POST", body, headers: { "Content-Type": "application/json" }, keepalive: body.length < 60000 };
      Object.assign(run.images[index], await ask(`/${path}/${index}`, options));
      unsaved.shift();
      refused.delete(index);
      fail("");
    } catch (error) {
      if (error.refused) {
        refused.set(index, `${id} is not saved: ${error.message}`);
        fail("");
        await restore(index);
      } else {
        fail(`${id} is not saved yet: ${error.message}. This page tries again while irn review runs.`);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
    showProgress();
  }
  saving = false;
}

// What the server has of an image, instead of what it has refused and all that follows from that.
async function restore(index) {
  unsaved.splice(0, unsaved.length, ...unsaved.filter((entry) => entry.index !== index));
  loaded.delete(index);
  if (at === index) {
    clearTimeout(timer);
    timer = 0;
    image = null;
    show(index);
  }
  try {
    const about = run.images[index], now = (await ask("/overview")).images[index];
    // Its stamp comes with its label.
    if (now?.stamp.review === about.stamp.review) Object.assign(about, { decision: now.decision, begun: now.begun });
  } catch { /* then the label cannot be had either, which is told of */ }
}

function fail(words) {
  const all = [...refused.values(), words].filter(Boolean).join(" ");
  $("failure").textContent = all;
  $("failure").hidden = !all;
}

window.addEventListener("beforeunload", (event) => { keepBegun(); if (unsaved.length) event.preventDefault(); });
document.addEventListener("visibilitychange", () => { if (document.hidden) keepBegun(); });

// ---- images, two of which are loaded ahead

const loaded = new Map();

function load(index) {
  if (!loaded.has(index)) {
    const photograph = new Image();
    photograph.src = `/photographs/${index}`;
    const both = Promise.all([savedLabel(index), photograph.decode().then(() => photograph)]);
    both.catch(() => loaded.delete(index));
    loaded.set(index, both);
  }
  return loaded.get(index);
}

async function labelOf(index, query = "") {
  const label = await ask(`/labels/${index}${query}`);
  if (label.stamp.review !== run.images[index].stamp.review) throw new Error("this page is of an earlier review. Reload it.");
  return label;
}

async function savedLabel(index) {
  await written(index);
  const label = await labelOf(index);
  run.images[index].stamp = label.stamp;
  return label;
}

async function show(index) {
  endStroke();
  keepBegun();
  at = index;
  image = null;
  wanted = null;
  stage.classList.add("waiting");
  $("objects").replaceChildren();
  $("image-id").textContent = run.images[index].id;
  $("present").textContent = "";
  showTitle();
  let label, photograph;
  try {
    [label, photograph] = await load(index);
  } catch (error) {
    if (at === index) say(`This image cannot be shown: ${error.message || "the photograph cannot be read"}`, 8000);
    return;
  }
  if (at !== index) return;
  photograph.id = "photograph";
  photograph.alt = `Photograph ${run.images[index].id}`;
  photograph.draggable = false;
  $("photograph").replaceWith(photograph);
  image = { index, height: label.height, width: label.width, present: label.present, changed: false };
  take(label);
  past = []; future = []; lastKind = "";
  selected = 0;
  pointer = { x: image.width / 2, y: image.height / 2 };
  $("size").max = Math.max(10, Math.round(Math.max(image.height, image.width) / 3));
  if (!$("size").dataset.set) $("size").value = Math.max(3, Math.round(Math.max(image.height, image.width) / 20));
  fillNewClass();
  setTool("select");
  setZoom(1);
  stage.classList.remove("waiting");
  showAll();
  if (image.tooMany) tellOfTooMany();
  // What was loaded is out of date as soon as it is edited.
  for (const other of [...loaded.keys()]) if (other <= index || other > index + 2) loaded.delete(other);
  for (const ahead of [index + 1, index + 2]) if (ahead < run.images.length) load(ahead).catch(() => {});
}

function take(label) {
  image.objects = Array.isArray(label.objects) ? mapOf(label.objects, image.height * image.width) : label.objects;
  image.classes = [...label.classes];
  image.thresholds = [...label.thresholds];
  image.tooMany = label.too_many;
}

// Such a label is not shown, and nothing is painted over it or accepted instead of it.
function tellOfTooMany() {
  say(`This label has ${image.tooMany} objects, of at most ${MOST_OBJECTS}: raise a threshold, or leave the image out`, 8000);
}

function go(index) {
  if (index >= 0 && index < run.images.length && index !== at) show(index);
}

// ---- decisions

async function decide(action) {
  const index = at, accepted = action === "accept";
  if (wanted && !(await relabelling) && accepted) return;
  if (at !== index || (accepted && !image)) return;
  if (accepted && image.tooMany) return tellOfTooMany();
  clearTimeout(timer);
  timer = 0;
  const before = image && [...past, snapshot()];
  save("decisions", index, accepted ? { action, ...edited() } : { action });
  loaded.delete(index);
  // The server's answer says the same, or "corrected".
  run.images[index].decision = { accept: "accepted", undecided: null }[action] ?? action;
  if (action === "undecided") run.images[index].decision = null;
  run.images[index].begun = false;
  image = null;
  showProgress();
  if (action === "undecided") {
    await written(index);
    if (refused.has(index)) return;
    say("Back to the run's label, undecided");
    await show(index);
    if (before && image) past = before;
    return showAll();
  }
  say({ accept: "Accepted", "nothing here": "Nothing here", "left out": "Left out" }[action]);
  const count = run.images.length;
  for (let step = 1; step < count; step++) {
    const next = (index + step) % count;
    if (!run.images[next].decision) return show(next);
  }
  await written(index);
  if (refused.has(index)) return;
  await show(index);
  openNext();
}

async function written(index) {
  while (unsaved.some((entry) => entry.index === index)) await new Promise((resolve) => setTimeout(resolve, 20));
}

function edited() {
  // Objects that were removed leave their numbers to the next ones.
  const number = new Uint8Array(256), classes = [];
  number[KEPT] = KEPT;
  image.classes.forEach((index, i) => { if (index !== null) number[i + 1] = classes.push(index); });
  return { objects: runsOf(image.objects.map((value) => number[value])), classes, thresholds: [...image.thresholds] };
}

let timer = 0;

function changed() {
  image.changed = true;
  clearTimeout(timer);
  timer = setTimeout(keepBegun, 400);
}

function keepBegun() {
  if (!timer || !image) return;
  clearTimeout(timer);
  timer = 0;
  if (image.tooMany) return;
  loaded.delete(image.index);
  run.images[image.index].begun = true;
  save("begun", image.index, edited());
  showTitle();
}

// ---- undo

function snapshot() {
  const { classes, thresholds, tooMany } = image;
  return { objects: runsOf(image.objects), classes: [...classes], thresholds: [...thresholds], too_many: tooMany, selected };
}

// Before a change. Those of a kind that follow each other are undone together.
function remember(kind = "") {
  endStroke();
  if (!kind || kind !== lastKind) {
    past.push(snapshot());
    if (past.length > MOST_UNDO) past.shift();
  }
  lastKind = kind;
  future = [];
}

function step(from, to) {
  endStroke();
  if (!image || !from.length) return;
  to.push(snapshot());
  const before = from.pop();
  wanted = null;
  lastKind = "";
  take(before);
  selected = before.selected;
  changed();
  showAll();
}

// ---- thresholds

let wanted = null, relabelling = null; // thresholds whose label is not there yet, and which of them was changed

function setThreshold(which, value) {
  if (!image) return;
  const thresholds = [...shownThresholds()];
  thresholds[which] = Math.round(100 * Math.min(Math.max(value, 0.01), 0.99)) / 100;
  wanted = { thresholds, which };
  showThresholds();
  relabelling ??= relabel().finally(() => { relabelling = null; });
}

function shownThresholds() {
  return wanted?.thresholds ?? image.thresholds;
}

// Whether the label that was wanted last is there.
async function relabel() {
  let done = true;
  while (wanted) {
    const these = wanted, shown = image, [semantic, instance] = these.thresholds;
    try {
      const label = await labelOf(shown.index, `?semantic=${semantic}&instance=${instance}`);
      // Not if others are wanted by now, or none.
      if (wanted !== these || image !== shown) continue;
      wanted = null;
      done = true;
      remember(`threshold ${these.which}`);
      take(label);
      selected = 0;
      changed();
      showAll();
      if (image.tooMany) tellOfTooMany();
    } catch (error) {
      if (wanted !== these) continue;
      wanted = null;
      done = false;
      showAll();
      say(error.message, 6000);
    }
  }
  return done;
}

// ---- objects

function select(number) {
  if (!image) return;
  selected = image.classes[number - 1] == null ? 0 : number;
  showAll();
}

function living() {
  return image.classes.flatMap((index, i) => (index === null ? [] : [i + 1]));
}

function nextObject() {
  const numbers = living();
  if (numbers.length) select(numbers[(numbers.indexOf(selected) + 1) % numbers.length]);
}

function removeObject(number) {
  if (!number) return say("Select an object first");
  remember();
  for (let i = 0; i < image.objects.length; i++) if (image.objects[i] === number) image.objects[i] = 0;
  image.classes[number - 1] = null;
  selected = 0;
  changed();
  showAll();
}

function rename(number, index) {
  remember();
  image.classes[number - 1] = index;
  changed();
  showAll();
}

function pickClass() {
  if (!selected) return say("Select an object first");
  $(`class-${selected}`).focus();
  say("Choose by letters or arrows, then Enter", 3000);
}

// A number without pixels, for a new object; 0 if there is none left.
function freeNumber() {
  const free = image.classes.indexOf(null) + 1;
  return free || (image.classes.length < MOST_OBJECTS ? image.classes.length + 1 : 0);
}

function newObject() {
  if (!image) return false;
  if (image.tooMany) { tellOfTooMany(); return false; }
  const number = freeNumber();
  if (!number) { say(`An image holds ${MOST_OBJECTS} objects`); return false; }
  remember();
  image.classes[number - 1] = Number($("new-class").value);
  selected = number;
  setTool("brush");
  showAll();
  return true;
}

// ---- brush and eraser

function paint(from, to) {
  const value = tool === "erase" ? 0 : selected, radius = $("size").value / 2;
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, radius / 2)));
  for (let i = 0; i <= steps; i++) {
    disc(from.x + ((to.x - from.x) * i) / steps, from.y + ((to.y - from.y) * i) / steps, radius, value);
  }
  const pad = radius + 1;
  draw(Math.min(from.x, to.x) - pad, Math.min(from.y, to.y) - pad, Math.max(from.x, to.x) + pad, Math.max(from.y, to.y) + pad);
}

function disc(x, y, radius, value) {
  for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(image.height - 1, y + radius); row++) {
    const half = Math.sqrt(Math.max(0, radius * radius - (row + 0.5 - y) ** 2));
    const left = Math.max(0, Math.round(x - half)), right = Math.min(image.width, Math.round(x + half));
    if (left < right) image.objects.fill(value, row * image.width + left, row * image.width + right);
  }
  // The smallest brush is a pixel.
  const column = Math.floor(x), row = Math.floor(y);
  if (column >= 0 && row >= 0 && column < image.width && row < image.height) image.objects[row * image.width + column] = value;
}

// Without a selected object, the brush goes on with the one that it begins in, or begins a new one.
function readyToPaint() {
  if (wanted) return false;
  if (image.tooMany) { tellOfTooMany(); return false; }
  const under = image.objects[Math.floor(pointer.y) * image.width + Math.floor(pointer.x)];
  if (tool === "brush" && !selected && under !== KEPT) selected = under ?? 0;
  return tool === "erase" || selected > 0 || newObject();
}

function setTool(name) {
  tool = name;
  for (const each of ["select", "brush", "erase"]) $(each).setAttribute("aria-pressed", String(each === name));
  stage.classList.toggle("painting", name !== "select");
  showTip();
}

function place(event) {
  const box = stage.getBoundingClientRect();
  return { x: ((event.clientX - box.left) / box.width) * image.width, y: ((event.clientY - box.top) / box.height) * image.height };
}

let drawing = null; // id of the pointer that paints

// A key, a button or another image ends a stroke, which would go on with another object or in another image.
function endStroke() {
  if (drawing === null) return;
  if (stage.hasPointerCapture(drawing)) stage.releasePointerCapture(drawing);
  drawing = null;
  if (image) { changed(); showAll(); }
}

stage.addEventListener("pointerdown", (event) => {
  if (!image || event.button || !event.isPrimary) return;
  pointer = place(event);
  if (tool === "select") return;
  event.preventDefault();
  if (!readyToPaint()) return;
  document.activeElement?.blur();
  remember();
  stage.setPointerCapture(event.pointerId);
  drawing = event.pointerId;
  paint(pointer, pointer);
  showTip();
});
stage.addEventListener("pointermove", (event) => {
  if (!image || !event.isPrimary) return;
  const before = pointer;
  pointer = place(event);
  if (drawing === event.pointerId) paint(before, pointer);
  showTip();
});
for (const end of ["pointerup", "pointercancel"]) {
  stage.addEventListener(end, (event) => {
    if (drawing === event.pointerId) endStroke();
  });
}
stage.addEventListener("click", (event) => {
  if (!image || tool !== "select") return;
  const { x, y } = place(event);
  select(image.objects[Math.floor(y) * image.width + Math.floor(x)]);
});

// The brush by keys.
function moveTip(dx, dy, painting) {
  const stride = Math.max(1, Math.round($("size").value / 4)), before = pointer;
  pointer = {
    x: Math.min(Math.max(pointer.x + dx * stride, 0.5), image.width - 0.5),
    y: Math.min(Math.max(pointer.y + dy * stride, 0.5), image.height - 0.5),
  };
  if (painting) paintByKey(before);
  showTip();
  tip.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function paintByKey(before) {
  if (!readyToPaint()) return;
  remember(before === pointer ? "" : "way");
  paint(before, pointer);
  changed();
  showAll();
}

// ---- drawing

function colours() {
  const view = new DataView(colourOf.buffer);
  for (let number = 1; number < 256; number++) {
    const colour = run.colours[(number - 1) % run.colours.length];
    // Red, green, blue and opacity, byte by byte.
    for (let i = 0; i < 3; i++) view.setUint8(4 * number + i, parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16));
    view.setUint8(4 * number + 3, number === selected ? 150 : 95);
  }
  for (let i = 0; i < 4; i++) view.setUint8(4 * KEPT + i, 150); // grey
}

// Redraw the objects within a box of the image.
function draw(left = 0, top = 0, right = image.width, bottom = image.height) {
  const context = fill.getContext("2d");
  if (fill.width !== image.width || fill.height !== image.height || !pixels) {
    fill.width = image.width;
    fill.height = image.height;
    pixels = context.createImageData(image.width, image.height);
    left = 0; top = 0; right = image.width; bottom = image.height;
  }
  left = Math.max(0, Math.floor(left)); top = Math.max(0, Math.floor(top));
  right = Math.min(image.width, Math.ceil(right)); bottom = Math.min(image.height, Math.ceil(bottom));
  if (right <= left || bottom <= top) return;
  const data = new Uint32Array(pixels.data.buffer);
  for (let y = top; y < bottom; y++) {
    for (let i = y * image.width + left; i < y * image.width + right; i++) data[i] = colourOf[image.objects[i]];
  }
  context.putImageData(pixels, 0, 0, left, top, right - left, bottom - top);
  drawLines();
}

let linesAsked = false;

function drawLines() {
  if (linesAsked) return;
  linesAsked = true;
  requestAnimationFrame(() => { linesAsked = false; if (image) drawLinesNow(); });
}

function drawLinesNow() {
  const box = stage.getBoundingClientRect();
  const density = Math.min(window.devicePixelRatio || 1, 4096 / Math.max(box.width, box.height, 1));
  lines.width = Math.round(box.width * density);
  lines.height = Math.round(box.height * density);
  const context = lines.getContext("2d"), scale = lines.width / image.width;
  const all = outlines(scale, () => true);
  stroke(context, all, 3 * density, "#000000a0");
  stroke(context, all, 1.5 * density, "#ffffff");
  if (selected) {
    const one = outlines(scale, (a, b) => a === selected || b === selected);
    stroke(context, one, 5 * density, "#000000");
    stroke(context, one, 3 * density, "#ffffff");
  }
  names(context, scale, density);
}

function stroke(context, path, width, colour) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(path);
}

// The edges between pixels of different objects, each straight run as one line.
function outlines(scale, wanted) {
  const { objects, height, width } = image, path = new Path2D();
  const follow = (count, length, first, second, line) => {
    for (let i = 1; i < count; i++) {
      for (let j = 0, start = -1; j <= length; j++) {
        const a = j < length ? objects[first(i, j)] : 0, b = j < length ? objects[second(i, j)] : 0;
        const edge = a !== b && wanted(a, b);
        if (edge && start < 0) start = j;
        if (!edge && start >= 0) { line(i, start, j); start = -1; }
      }
    }
  };
  follow(height, width, (y, x) => (y - 1) * width + x, (y, x) => y * width + x, (y, from, to) => { path.moveTo(from * scale, y * scale); path.lineTo(to * scale, y * scale); });
  follow(width, height, (x, y) => y * width + x - 1, (x, y) => y * width + x, (x, from, to) => { path.moveTo(x * scale, from * scale); path.lineTo(x * scale, to * scale); });
  return path;
}

function names(context, scale, density) {
  context.font = `600 ${13 * density}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3.5 * density;
  context.strokeStyle = "#000000";
  context.fillStyle = "#ffffff";
  for (const [number, spot] of middles()) {
    const words = `${number} ${run.classes[image.classes[number - 1]]}`;
    const half = context.measureText(words).width / 2 + 3 * density;
    const x = Math.min(Math.max((spot.x + 0.5) * scale, half), Math.max(lines.width - half, half));
    const y = Math.min(Math.max((spot.y + 0.5) * scale, 9 * density), lines.height - 9 * density);
    context.strokeText(words, x, y);
    context.fillText(words, x, y);
  }
}

// For each object its pixel nearest to its centre.
function middles() {
  const { objects, width } = image, sums = new Map();
  for (let i = 0; i < objects.length; i++) {
    if (!objects[i] || objects[i] === KEPT) continue;
    let sum = sums.get(objects[i]);
    if (!sum) sums.set(objects[i], (sum = { x: 0, y: 0, count: 0, best: Infinity, spot: null }));
    sum.x += i % width; sum.y += Math.floor(i / width); sum.count++;
  }
  for (let i = 0; i < objects.length; i++) {
    if (!objects[i] || objects[i] === KEPT) continue;
    const sum = sums.get(objects[i]), x = i % width, y = Math.floor(i / width);
    const distance = (x - sum.x / sum.count) ** 2 + (y - sum.y / sum.count) ** 2;
    if (distance < sum.best) { sum.best = distance; sum.spot = { x, y }; }
  }
  return [...sums].map(([number, sum]) => [number, sum.spot]);
}

function showTip() {
  tip.hidden = tool === "select" || !image;
  if (tip.hidden) return;
  const scale = stage.clientWidth / image.width;
  tip.style.left = `${pointer.x * scale}px`;
  tip.style.top = `${pointer.y * scale}px`;
  tip.style.width = tip.style.height = `${Math.max(4, $("size").value * scale)}px`;
}

// Zoom 1 shows the whole image. The spot under the brush or pointer stays in view.
function setZoom(factor) {
  if (!image) return;
  zoom = Math.min(Math.max(factor, 1), 12);
  const narrow = matchMedia("(max-width: 52rem)").matches;
  const most = narrow ? 0.58 * window.innerHeight : scroller.clientHeight;
  const scale = Math.min(scroller.clientWidth / image.width, most / image.height);
  scroller.style.setProperty("--fit", `${Math.floor(image.height * scale)}px`);
  stage.style.width = `${Math.floor(image.width * scale * zoom)}px`;
  stage.style.height = `${Math.floor(image.height * scale * zoom)}px`;
  scroller.scrollLeft = pointer.x * scale * zoom - scroller.clientWidth / 2;
  scroller.scrollTop = pointer.y * scale * zoom - scroller.clientHeight / 2;
  showTip();
  drawLines();
}

// ---- the rest of the page

function option(index) {
  return Object.assign(document.createElement("option"), { value: String(index), textContent: run.classes[index] });
}

// Classes for a select: those that the image has by the table come first.
function classOptions() {
  const group = (name, indices) => {
    const element = Object.assign(document.createElement("optgroup"), { label: name });
    element.append(...indices.map(option));
    return element;
  };
  const all = run.classes.map((_, index) => index), present = image.present;
  if (!present.length || present.length === all.length) return all.map(option);
  return [group("In this image", present), group("Others", all.filter((index) => !present.includes(index)))];
}

function fillNewClass() {
  const before = $("new-class").value;
  $("new-class").replaceChildren(...classOptions());
  $("new-class").value = String(image.present[0] ?? (before || 0));
}

function showObjects() {
  const focused = document.activeElement?.id;
  const items = living().map((number) => {
    const item = document.createElement("li"), name = run.classes[image.classes[number - 1]];
    item.classList.toggle("selected", number === selected);
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = run.colours[number - 1];
    const choose = Object.assign(document.createElement("button"), { type: "button", id: `object-${number}` });
    choose.append(swatch, String(number));
    choose.setAttribute("aria-pressed", String(number === selected));
    choose.setAttribute("aria-label", `Select object ${number}, ${name}`);
    choose.addEventListener("click", () => select(number === selected ? 0 : number));
    const kind = Object.assign(document.createElement("select"), { id: `class-${number}` });
    kind.append(...classOptions());
    kind.value = String(image.classes[number - 1]);
    kind.setAttribute("aria-label", `Class of object ${number}`);
    kind.addEventListener("change", () => rename(number, Number(kind.value)));
    const gone = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
    gone.setAttribute("aria-label", `Remove object ${number}, ${name}`);
    gone.addEventListener("click", () => removeObject(number));
    item.append(choose, kind, gone);
    return item;
  });
  $("objects").replaceChildren(...items);
  $("no-objects").hidden = items.length > 0;
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
}

function showThresholds() {
  ["semantic", "instance"].forEach((name, which) => {
    $(name).value = shownThresholds()[which];
    $(`${name}-value`).textContent = shownThresholds()[which].toFixed(2);
  });
}

function showTitle() {
  const about = run.images[at];
  $("number").value = String(at + 1);
  $("of").textContent = `of ${run.images.length}`;
  $("decision").textContent = about.begun ? `edited, ${about.decision ? `was ${about.decision}` : "not decided"}` : about.decision ?? "";
  $("decision").classList.toggle("begun", about.begun);
  $("decision").hidden = !about.decision && !about.begun;
  $("previous").disabled = at === 0;
  $("following").disabled = at === run.images.length - 1;
}

function showProgress() {
  const decided = run.images.filter((each) => each.decision);
  const kinds = ["accepted", "corrected", "nothing here", "left out"].map((kind) => [decided.filter((each) => each.decision === kind).length, kind]);
  const words = kinds.filter(([count]) => count).map(([count, kind]) => `${count} ${kind}`).join(", ");
  $("progress").textContent = `${decided.length} of ${run.images.length} decided${words ? `: ${words}` : `, ${run.order}`}`;
  $("bar").max = run.images.length;
  $("bar").value = decided.length;
  if (image) showTitle();
  return $("progress").textContent;
}

function showAll() {
  if (!image) return;
  colours();
  draw();
  showObjects();
  showThresholds();
  showTitle();
  $("present").textContent = image.present.length ? `has ${image.present.map((index) => run.classes[index]).join(", ")}` : "has no class";
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
  $("size-value").textContent = $("size").value;
}

let quiet;

function say(words, milliseconds = 1600) {
  $("status").textContent = words;
  $("status").classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => $("status").classList.remove("shown"), milliseconds);
}

function open(dialog) {
  $(dialog).showModal();
  // The button at its foot has the focus, which on a phone would scroll to it.
  $(dialog).scrollTop = 0;
}

function openNext() {
  $("next-counts").textContent = `${showProgress()}.`;
  $("folder").textContent = run.folder;
  const masks = run.images.some((each) => each.decision && each.decision !== "left out");
  const [words, command] = run.next;
  const code = Object.assign(document.createElement("code"), { textContent: command });
  $("next-line").replaceChildren(...(masks ? [words, code] : ["As soon as an image is accepted or corrected, the next run can use it."]));
  open("next-text");
}

function hideLabel() {
  const bare = stage.classList.toggle("bare");
  $("bare").setAttribute("aria-pressed", String(bare));
}

function setSize(value) {
  $("size").value = value;
  $("size").dataset.set = "yes";
  $("size-value").textContent = $("size").value;
  showTip();
}

// ---- keys and buttons

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  a: () => decide("accept"),
  enter: () => decide("accept"),
  n: () => decide("nothing here"),
  x: () => decide("left out"),
  r: () => decide("undecided"),
  j: () => go(at - 1),
  k: () => go(at + 1),
  g: () => { $("number").focus(); $("number").select(); },
  h: hideLabel,
  z: (shift) => setZoom(shift ? zoom / 1.5 : zoom * 1.5),
  0: () => setZoom(1),
  s: (shift) => image && setThreshold(0, shownThresholds()[0] + (shift ? STEP : -STEP)),
  i: (shift) => image && setThreshold(1, shownThresholds()[1] + (shift ? STEP : -STEP)),
  o: () => image && nextObject(),
  d: () => image && removeObject(selected),
  delete: () => image && removeObject(selected),
  c: pickClass,
  b: () => setTool("brush"),
  p: newObject,
  e: () => setTool("erase"),
  v: () => setTool("select"),
  escape: () => { if (tool === "select") select(0); setTool("select"); },
  u: (shift) => (shift ? step(future, past) : step(past, future)),
  "-": () => setSize(Number($("size").value) - Math.max(1, Math.round($("size").value / 8))),
  "+": () => setSize(Number($("size").value) + Math.max(1, Math.round($("size").value / 8))),
  "?": () => open("help-text"),
};
KEYS["="] = KEYS["+"];

let typing = false; // letters choose a class, until Enter

document.addEventListener("keydown", (event) => {
  if (!run || event.altKey || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase(), target = event.target;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    return key === "y" || event.shiftKey ? step(future, past) : step(past, future);
  }
  if (target.matches("select, #number")) {
    typing = true;
    if (key === "escape" || (key === "enter" && target.matches("select"))) { event.preventDefault(); target.blur(); }
    return;
  }
  if (target.matches("button") && (key === "enter" || key === " ")) return;
  const arrow = ARROWS[event.key];
  if (arrow && target.matches("input")) return;
  if (arrow && tool === "select") {
    if (zoom === 1 && !arrow[0]) return;
    event.preventDefault();
    if (zoom === 1) go(at + arrow[0]);
    else scroller.scrollBy((arrow[0] * scroller.clientWidth) / 6, (arrow[1] * scroller.clientHeight) / 6);
    return;
  }
  let act = KEYS[key] && (() => KEYS[key](event.shiftKey));
  if (arrow) act = () => image && moveTip(...arrow, event.shiftKey);
  else if (key === " " && tool !== "select") act = () => image && paintByKey(pointer);
  else if (/^[1-9]$/.test(key)) act = () => select(Number(key));
  if (!act) return;
  event.preventDefault();
  // A decision that is held down would decide on images that nobody has seen.
  if (event.repeat && "axnr enter".includes(key)) return;
  endStroke();
  act();
});

const BUTTONS = {
  accept: KEYS.a, nothing: KEYS.n, "leave-out": KEYS.x, reset: KEYS.r, previous: KEYS.j, following: KEYS.k,
  select: KEYS.v, brush: KEYS.b, erase: KEYS.e, undo: () => step(past, future), redo: () => step(future, past),
  bare: hideLabel, zoom: () => setZoom(zoom >= 5 ? 1 : zoom * 1.5), new: newObject, help: KEYS["?"], "next-step": openNext,
};
for (const [id, act] of Object.entries(BUTTONS)) $(id).addEventListener("click", () => { endStroke(); act(false); });
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => document.activeElement?.blur());
// A click leaves the keyboard with the image, not with the button or the list of classes, where keys would choose another one.
document.addEventListener("pointerdown", () => { typing = false; });
document.addEventListener("change", (event) => { if (event.target.matches("select") && !typing) document.activeElement?.blur(); });
document.addEventListener("click", (event) => { if (event.detail) event.target.closest?.("button")?.blur(); });
["semantic", "instance"].forEach((name, which) => $(name).addEventListener("input", () => setThreshold(which, Number($(name).value))));
$("size").addEventListener("input", () => setSize($("size").value));
$("number").addEventListener("change", () => {
  const number = Math.round(Number($("number").value));
  $("number").blur();
  if (number >= 1 && number <= run.images.length) go(number - 1);
  else showTitle();
});
$("number").addEventListener("keydown", (event) => { if (event.key === "Enter") $("number").blur(); });
scroller.addEventListener("wheel", (event) => {
  if (!event.ctrlKey || !image) return;
  event.preventDefault();
  pointer = place(event);
  setZoom(zoom * Math.exp(-event.deltaY / 200));
}, { passive: false });
new ResizeObserver(() => setZoom(zoom)).observe(scroller);

async function start() {
  // The token is in a cookie by now; the address without it can be seen by others.
  history.replaceState(null, "", "/");
  try {
    run = await ask("/overview");
  } catch (error) {
    return fail(error.message);
  }
  document.title = `${run.run}: review`;
  $("run").textContent = run.run;
  showProgress();
  const first = run.images.findIndex((each) => !each.decision);
  await show(Math.max(first, 0));
  if (first < 0) openNext();
}

start();
