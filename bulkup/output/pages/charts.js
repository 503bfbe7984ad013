/* Charts of a run over time, for the monitor's page and the HTML report.

   A sample is a list of numbers, in the order of bulkup.output.samples.Sample: the end of an
   interval in seconds, bytes and photos per second, finished photos with their mean and longest time,
   then the values at its end: photos being finished, the limit, the maximum of the limit, and the
   chunk size. All text is set as text, never as markup. */
"use strict";

const AT = 0, RATE = 1, PACE = 2, FINISHES = 3, FINISH = 4, SLOWEST = 5, FINISHING = 6, LIMIT = 7, MOST = 8, CHUNK = 9;
const SVG = "http://www.w3.org/2000/svg";
const LEFT = 58, RIGHT = 6; // room beside a chart, in pixels

const CHARTS = [
  {
    id: "throughput", title: "Throughput", words: "bytes sent or compared per second",
    format: sizeRate, floor: 1000, area: RATE, line: RATE,
    reading: (sample) => sizeRate(sample[RATE]),
  },
  {
    id: "pace", title: "Photos per second", words: "photos that the server finished, or that were compared",
    format: number, floor: 0.1, area: PACE, line: PACE, live: false, // over one second it is 0 or 1
    reading: (sample) => `${number(sample[PACE])} per second`,
  },
  {
    id: "finish", title: "Time to finish a photo", words: "mean and longest, from the first byte of its last chunk to the server's answer",
    format: seconds, floor: 0.1, of: (all) => all.filter((sample) => sample[FINISHES]), area: SLOWEST, line: FINISH,
    reading: (sample) => `${seconds(sample[FINISH])} on average, ${seconds(sample[SLOWEST])} at most`,
    wanted: (all) => all.some((sample) => sample[FINISHES]),
  },
  {
    id: "limits", title: "Finishing at once", words: "photos being finished, the limit, and its maximum",
    format: number, floor: 2, steps: true, area: FINISHING, line: LIMIT, edge: MOST,
    reading: (sample) => `${sample[FINISHING]} now, ${sample[LIMIT]} allowed, ${sample[MOST]} at most`,
    wanted: (all) => all.some((sample) => sample[MOST]),
  },
  {
    id: "chunks", title: "Chunk size", words: "the size of one request",
    format: size, floor: 1000, steps: true, area: CHUNK, line: CHUNK,
    reading: (sample) => size(sample[CHUNK]),
    wanted: (all) => new Set(all.map((sample) => sample[CHUNK]).filter(Boolean)).size > 1,
  },
];

/* Charts in a container. With `live` the newest values are shown, otherwise what each chart is about. */
class RunCharts {
  constructor(container, { live }) {
    this.live = live;
    this.samples = [];
    this.pointed = null; // the time at the pointer, from 0 to 1
    this.boxes = new Map(); // svg → its size, as the browser reports it: to ask would force a layout
    const resized = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) this.boxes.set(target, contentRect);
      this.draw();
    });
    const charts = live ? CHARTS.filter((chart) => chart.live !== false) : CHARTS;
    this.figures = charts.map((chart) => this.#figure(chart, container));
    for (const { figure } of this.figures) resized.observe(figure.querySelector("svg"));
  }

  show(samples) {
    this.samples = samples;
    this.draw();
  }

  draw() {
    for (const { chart, figure } of this.figures) {
      figure.hidden = Boolean(chart.wanted) && !chart.wanted(this.samples);
      if (!figure.hidden) this.#draw(chart, figure);
    }
  }

  #figure(chart, container) {
    const figure = document.createElement("figure");
    figure.className = "card";
    figure.id = chart.id;
    const caption = document.createElement("figcaption");
    const title = document.createElement("h3");
    title.textContent = chart.title;
    caption.append(title, document.createElement("output"));
    const svg = shape("svg", { role: "img" });
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const across = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      this.pointed = Math.min(1, Math.max(0, across));
      this.draw();
    });
    for (const left of ["pointerleave", "pointercancel"]) {
      svg.addEventListener(left, () => {
        this.pointed = null;
        this.draw();
      });
    }
    figure.append(caption, svg);
    container.append(figure);
    return { chart, figure };
  }

  #draw(chart, figure) {
    const svg = figure.querySelector("svg");
    const { width, height } = this.boxes.get(svg) ?? { width: 0 };
    if (!width) return;
    const all = this.samples;
    const shown = chart.of ? chart.of(all) : all;
    const end = all.length ? all[all.length - 1][AT] : 1;
    const highest = shown.flatMap((sample) => [sample[chart.area], sample[chart.line], sample[chart.edge] || 0]);
    const top = nice(Math.max(chart.floor, ...highest));
    const foot = height - 20, head = 6;
    const x = (at) => LEFT + (at / end) * (width - LEFT - RIGHT);
    const y = (value) => foot - (value / top) * (foot - head);
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const level = Math.round(y(share * top)) + 0.5;
      parts.push(shape("line", { class: "grid", x1: LEFT, x2: width, y1: level, y2: level }));
      parts.push(label(LEFT - 8, level + 4, share ? chart.format(share * top) : "0", "end"));
    }
    parts.push(label(LEFT, height - 2, "0:00", "start"), label(width, height - 2, clock(end), "end"));
    const current = nearest(shown, this.pointed === null ? end : this.pointed * end);
    if (current) {
      const path = (column) => trace(shown, column, x, y, chart.steps);
      const first = x(shown[0][AT]), last = x(shown[shown.length - 1][AT]);
      parts.push(shape("path", { class: "area", d: `${path(chart.area)} L${last},${y(0)} L${first},${y(0)} Z` }));
      if (chart.edge) parts.push(shape("path", { class: "edge", d: path(chart.edge) }));
      parts.push(shape("path", { class: "line", d: path(chart.line) }));
      const across = x(current[AT]);
      if (this.pointed !== null) {
        parts.push(shape("line", { class: "hair", x1: across, x2: across, y1: head, y2: foot }));
      }
      if (this.live || this.pointed !== null) {
        parts.push(shape("circle", { class: "dot", cx: across, cy: y(current[chart.line]), r: 4.5 }));
      }
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...parts);
    const reading = current ? chart.reading(current) : "";
    let words = this.live ? reading : chart.words;
    if (this.pointed !== null && current) words = `${clock(current[AT])} · ${reading}`;
    figure.querySelector("output").textContent = words;
    svg.setAttribute("aria-label", `${chart.title}: ${words || "nothing yet"}`);
  }
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

function nearest(shown, moment) {
  let best = shown[shown.length - 1];
  for (const sample of shown) {
    if (Math.abs(sample[AT] - moment) < Math.abs(best[AT] - moment)) best = sample;
  }
  return best;
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

/* Return the smallest round number that is not less: 1, 2, 4, 6, 8 or 10 times a power of ten. */
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

function number(value) {
  return String(Number(value.toPrecision(3)));
}

function size(value) {
  let unit = "B";
  for (const next of ["kB", "MB", "GB", "TB"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value >= 100 || unit === "B" ? Math.round(value) : number(value)} ${unit}`;
}

function sizeRate(value) {
  return `${size(value)}/s`;
}

function seconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  return value < 120 ? `${number(value)} s` : `${number(value / 60)} min`;
}
