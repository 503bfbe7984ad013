/* The monitor's page. It shows the messages of /events, each a whole picture of the moment but for
   samples and lines, which come once. Every text is set as text, never as markup. */
"use strict";

const MOST_LINES = 200;
const AGAIN_MS = 5000;
const SVG = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);
const rows = new Map(); // path → its element
let samples = [];
let pointed = null; // the moment that the pointer is at, in seconds

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function say(id, text) {
  const element = by(id);
  if (element.textContent !== text) element.textContent = text;
}

function sayIfAny(id, text) {
  by(id).hidden = !text;
  say(id, text);
}

/* -- the moment ------------------------------------------------------------------------------ */

function show(message) {
  if (message.anew) by("lines").replaceChildren();
  if (message.fresh) samples = [];
  samples.push(...message.samples);

  say("title", message.title || "bulkup");
  say("manner", message.manner);
  tellPhase(message.phase_words, message.tone, !message.over);
  sayIfAny("outage", message.outage);
  const whole = message.share;
  document.title = `${whole === null ? message.phase_words : `${whole}%`} · ${message.title || "bulkup"}`;
  by("share").parentElement.classList.toggle("unknown", whole === null);
  say("share", whole === null ? "…" : String(whole));
  const searching = whole === null && message.phase === "running";
  by("whole").classList.toggle("unknown", searching);
  fill(by("whole"), whole === null ? 0 : whole, searching);
  say("photos", message.photos || "–");
  say("bytes", message.bytes || "–");
  say("rate", message.rate || "–");
  say("mean", message.mean || "–");
  say("left", message.left || "–");
  for (const id of ["rate", "left"]) by(id).parentElement.hidden = message.phase === "ended";
  say("elapsed", message.elapsed || "–");
  showChips(message);
  showRows(message);
  showLines(message);
  by("ending").hidden = !message.summary;
  say("summary", message.summary);
  drawAll();
}

function tellPhase(words, tone, live) {
  say("phase", words);
  by("phase").className = `pill ${tone} ${live ? "live" : ""}`;
}

function fill(bar, share, unknown) {
  bar.firstElementChild.style.width = unknown ? "" : `${share}%`;
  if (unknown) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", share);
}

function showChips(message) {
  const chips = [...message.counts, ...message.limits.map((words) => ({ words, tone: "" }))];
  const wanted = JSON.stringify(chips);
  if (by("chips").dataset.shown === wanted) return;
  by("chips").dataset.shown = wanted;
  by("chips").replaceChildren(...chips.map((chip) => make("li", chip.tone, chip.words)));
}

/* Each photo keeps its place while it is on its way; a new one takes the place of one that went. */
function showRows(message) {
  const there = new Set(message.in_flight.map((photo) => photo.path));
  const free = [];
  for (const [path, row] of rows) {
    if (!there.has(path)) {
      rows.delete(path);
      free.push(row);
    }
  }
  for (const photo of message.in_flight) {
    let row = rows.get(photo.path);
    if (!row) {
      row = makeRow(photo);
      if (free.length) free.shift().replaceWith(row);
      else by("rows").append(row);
      rows.set(photo.path, row);
    }
    fillRow(row, photo);
  }
  for (const row of free) row.remove();
  by("flight").hidden = message.phase === "ended" || message.phase === "failed";
  by("idle").hidden = message.in_flight.length > 0;
  sayIfAny("hidden", message.hidden ? `… ${message.hidden} more on their way` : "");
}

function makeRow(photo) {
  const row = make("li", "");
  const name = make("div", "name");
  if (photo.folder) name.append(make("span", "", `${photo.folder}/`));
  name.append(photo.name);
  name.title = photo.path;
  const bar = make("div", "bar");
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", photo.name);
  bar.append(make("i", ""));
  row.append(name, make("div", "done"), make("div", "size"), make("div", "pace"), bar, make("div", "trouble"));
  return row;
}

function fillRow(row, photo) {
  const [, done, size, pace, bar, trouble] = row.children;
  done.textContent = `${photo.share}%`;
  size.textContent = photo.size;
  pace.textContent = photo.pace;
  pace.className = `pace ${photo.tone}`;
  trouble.textContent = photo.trouble;
  trouble.hidden = !photo.trouble;
  fill(bar, photo.share, false);
}

function showLines(message) {
  const list = by("lines");
  for (const line of message.lines) {
    const item = make("li", line.tone);
    const what = make("span", "what", line.what);
    if (line.hint) what.append(make("span", "hint", line.hint));
    item.append(make("time", "", clock(line.at)), make("span", "kind", line.kind), what);
    list.prepend(item);
  }
  while (list.children.length > MOST_LINES) list.lastElementChild.remove();
  const earlier = message.lines_so_far - list.children.length;
  sayIfAny("earlier", earlier > 0 ? `… and ${earlier.toLocaleString("en")} earlier` : "");
  by("quiet").hidden = list.children.length > 0;
}

/* -- charts ---------------------------------------------------------------------------------- */

const AT = 0, RATE = 1, FINISHES = 2, FINISH = 3, SLOWEST = 4, FINISHING = 5, LIMIT = 6, MOST = 7;

const LEFT = 58, RIGHT = 6; // room beside a chart, in pixels

const charts = [
  {
    id: "throughput", format: sizeRate, floor: 1000, of: (all) => all,
    top: (sample) => sample[RATE], area: RATE, line: RATE,
    words: (sample) => sizeRate(sample[RATE]),
  },
  {
    id: "finish", format: seconds, floor: 0.1, of: (all) => all.filter((sample) => sample[FINISHES]),
    top: (sample) => sample[SLOWEST], area: SLOWEST, line: FINISH,
    words: (sample) => `${seconds(sample[FINISH])} on average, ${seconds(sample[SLOWEST])} at most`,
  },
  {
    id: "limits", format: (value) => String(Math.round(value * 10) / 10), floor: 2, steps: true, of: (all) => all,
    top: (sample) => Math.max(sample[FINISHING], sample[LIMIT], sample[MOST]),
    area: FINISHING, line: LIMIT, edge: MOST,
    words: (sample) => `${sample[FINISHING]} now, ${sample[LIMIT]} allowed, ${sample[MOST]} at most`,
  },
];

function drawAll() {
  for (const chart of charts) draw(chart);
}

function draw(chart) {
  const figure = by(chart.id);
  const svg = figure.querySelector("svg");
  const { width, height } = svg.getBoundingClientRect();
  if (!width) return;
  const shown = chart.of(samples);
  const end = samples.length ? samples[samples.length - 1][AT] : 1;
  const top = nice(Math.max(chart.floor, ...shown.map(chart.top)));
  const foot = height - 20, head = 6, left = LEFT;
  const x = (at) => left + (at / end) * (width - left - RIGHT);
  const y = (value) => foot - (value / top) * (foot - head);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const level = Math.round(y(share * top)) + 0.5;
    parts.push(shape("line", { class: "grid", x1: left, x2: width, y1: level, y2: level }));
    parts.push(label(left - 8, level + 4, share ? chart.format(share * top) : "0", "end"));
  }
  parts.push(label(left, height - 2, "0:00", "start"), label(width, height - 2, clock(end), "end"));
  const current = at(shown, pointed === null ? end : pointed * end);
  if (shown.length) {
    const path = (column) => trace(shown, column, x, y, chart.steps);
    const line = path(chart.line);
    const first = x(shown[0][AT]), last = x(shown[shown.length - 1][AT]);
    const area = `${path(chart.area)} L${last},${y(0)} L${first},${y(0)} Z`;
    parts.push(shape("path", { class: "area", d: area }));
    if (chart.edge) parts.push(shape("path", { class: "edge", d: path(chart.edge) }));
    parts.push(shape("path", { class: "line", d: line }));
    if (pointed !== null) {
      parts.push(shape("line", { class: "hair", x1: x(current[AT]), x2: x(current[AT]), y1: head, y2: foot }));
    }
    parts.push(shape("circle", { class: "dot", cx: x(current[AT]), cy: y(current[chart.line]), r: 4.5 }));
  }
  svg.replaceChildren(...parts);
  const words = current ? chart.words(current) : "";
  const told = pointed === null || !current ? words : `${clock(current[AT])} · ${words}`;
  figure.querySelector("output").textContent = told;
  svg.setAttribute("aria-label", `${figure.querySelector("h2").textContent}: ${words || "nothing yet"}`);
}

function trace(shown, column, x, y, steps) {
  let path = "";
  for (const sample of shown) {
    const [across, down] = [x(sample[AT]).toFixed(1), y(sample[column]).toFixed(1)];
    if (!path) path = `M${across},${down}`;
    else path += steps ? ` H${across} V${down}` : ` L${across},${down}`;
  }
  return path;
}

function at(shown, moment) {
  let nearest = shown[shown.length - 1];
  for (const sample of shown) {
    if (Math.abs(sample[AT] - moment) < Math.abs(nearest[AT] - moment)) nearest = sample;
  }
  return nearest;
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function label(x, y, text, anchor) {
  const element = shape("text", { x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/* The next round number that is not less: 1, 2, 4, 6, 8 or 10 times a power of ten. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 6, 8, 10].find((step) => step * power >= value * 0.999);
}

function clock(at) {
  const all = Math.floor(at);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

function sizeRate(value) {
  let unit = "B";
  for (const next of ["kB", "MB", "GB", "TB"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value >= 100 || unit === "B" ? Math.round(value) : Number(value.toPrecision(3))} ${unit}/s`;
}

function seconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  return value < 120 ? `${Number(value.toPrecision(3))} s` : `${Number((value / 60).toPrecision(3))} min`;
}

for (const { id } of charts) {
  const svg = by(id).querySelector("svg");
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const across = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    pointed = Math.min(1, Math.max(0, across));
    drawAll();
  });
  for (const gone of ["pointerleave", "pointercancel"]) {
    svg.addEventListener(gone, () => {
      pointed = null;
      drawAll();
    });
  }
}
new ResizeObserver(drawAll).observe(by("throughput"));

/* -- the stream ------------------------------------------------------------------------------ */

function listen() {
  const source = new EventSource("events");
  source.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.over) source.close();
    show(message);
  };
  source.onerror = () => {
    tellPhase("no connection", "warning", false);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  };
}

if (location.search) history.replaceState(null, "", location.pathname); // a token is not left there
listen();
