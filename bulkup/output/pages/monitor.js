/* The monitor's page. It shows the messages of /events. Each message is complete, except that samples
   and lines are sent only once. All text is set as text, never as markup. */
"use strict";

const MAX_LINES = 200;
const RECONNECT_MS = 5000;
const by = (id) => document.getElementById(id);
const rows = new Map(); // path → its element
const charts = new RunCharts(by("charts"), { live: true });
let samples = [];

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function setText(id, text) {
  const element = by(id);
  if (element.textContent !== text) element.textContent = text;
}

function setTextOrHide(id, text) {
  by(id).hidden = !text;
  setText(id, text);
}

/* -- one message ------------------------------------------------------------------------------- */

function show(message) {
  if (message.new_run) by("lines").replaceChildren();
  if (message.fresh) samples = [];
  samples.push(...message.samples);

  setText("title", message.title || "bulkup");
  setText("manner", message.manner);
  showPhase(message.phase_words, message.tone, !message.over && message.phase !== "paused");
  setTextOrHide("outage", message.outage);
  const whole = message.share;
  document.title = `${whole === null ? message.phase_words : `${whole}%`} · ${message.title || "bulkup"}`;
  by("share").parentElement.classList.toggle("unknown", whole === null);
  setText("share", whole === null ? "…" : String(whole));
  const searching = whole === null && message.phase === "running";
  by("whole").classList.toggle("unknown", searching);
  fill(by("whole"), whole === null ? 0 : whole, searching);
  setText("photos", message.photos || "–");
  setText("bytes", message.bytes || "–");
  setText("rate", message.rate || "–");
  setText("mean", message.mean || "–");
  setText("left", message.left || "–");
  for (const id of ["rate", "left"]) by(id).parentElement.hidden = message.phase === "ended";
  setText("elapsed", message.elapsed || "–");
  showChips(message);
  showRows(message);
  showLines(message);
  by("ending").hidden = !message.summary;
  setText("summary", message.summary);
  charts.show(samples);
}

function showPhase(words, tone, live) {
  setText("phase", words);
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

/* A photo keeps its row while it is in flight; a new one takes a row that became free. */
function showRows(message) {
  const inFlight = new Set(message.in_flight.map((photo) => photo.path));
  const free = [];
  for (const [path, row] of rows) {
    if (!inFlight.has(path)) {
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
  setTextOrHide("hidden", message.hidden ? `… ${message.hidden} more in flight` : "");
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
  while (list.children.length > MAX_LINES) list.lastElementChild.remove();
  const earlier = message.lines_so_far - list.children.length;
  setTextOrHide("earlier", earlier > 0 ? `… and ${earlier.toLocaleString("en")} earlier` : "");
  by("quiet").hidden = list.children.length > 0;
}

/* -- the stream ------------------------------------------------------------------------------ */

function listen() {
  const source = new EventSource("events");
  source.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.over) source.close();
    show(message);
  };
  source.onerror = () => {
    showPhase("no connection", "warning", false);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  };
}

if (location.search) history.replaceState(null, "", location.pathname); // remove the token from the address
listen();
