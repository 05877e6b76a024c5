// The pictures, the filter and the cards of a catalog. Names and figures come from entries of anybody: they are
// set as text only.
"use strict";

const catalog = JSON.parse(document.getElementById("catalog").textContent);
const $ = (id) => document.getElementById(id);
const cards = catalog.models.map((_, place) => $(`m${place}`));
const OTHERS = ["one", "two", "three"]; // colours of published kinds
const RIVALS = "timm's models, published";

const datasets = count(catalog.models.flatMap((model) => [...new Set(model.figures.map((figure) => figure.data))]));
const state = { data: datasets[0], on: undefined };

/** Different values, the most frequent first. */
function count(values) {
  const times = new Map();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1]).map(([value]) => value);
}

function colours() {
  const published = new Set();
  for (const { figures } of catalog.models) {
    for (const figure of figures) if (figure.data === state.data && !figure.measured) published.add(figure.series);
  }
  const found = new Map([...published].map((series, place) => [series, OTHERS[place % OTHERS.length]]));
  return found.set("measured here", "measured").set(RIVALS, "rival");
}

function wanted() {
  const words = $("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const most = $("max-mflops").valueAsNumber, least = $("min-top1").valueAsNumber;
  return catalog.models.map((model) => {
    const measured = model.figures.find((figure) => figure.measured) ?? model.figures[0];
    return words.every((word) => model.words.includes(word)) && !(model.mflops > most) &&
      (Number.isNaN(least) || (measured !== undefined && measured.top1 >= least)) &&
      (!$("with-weights").checked || model.weights);
  });
}

function tip(point, element) {
  const box = $("tip");
  box.hidden = point === null;
  if (point === null) return;
  box.replaceChildren(...point.lines.map((line) => {
    const row = document.createElement("p");
    row.textContent = line;
    return row;
  }));
  const place = element.getBoundingClientRect();
  const left = Math.min(place.right, document.documentElement.clientWidth - box.offsetWidth - 8);
  box.style.left = `${Math.max(8, left) + window.scrollX}px`;
  box.style.top = `${place.top + window.scrollY - box.offsetHeight - 4}px`;
}

function open(place) {
  cards[place].open = true;
  cards[place].scrollIntoView({ block: "nearest" });
  cards[place].querySelector("summary").focus({ preventScroll: true });
}

/** A name without its beginning up to the last underscore, where at least three names begin so. */
function label(name) {
  const head = name.slice(0, name.lastIndexOf("_") + 1);
  const alike = catalog.models.filter((model) => model.name.startsWith(head) && !model.name.slice(head.length).includes("_"));
  return head.length > 8 && alike.length > 2 ? name.slice(head.length) : name;
}

/** Points over one cost; `costOf(model)` gives {x, says} or null. */
function pointsBy(costOf, kept) {
  const colour = colours();
  const ours = catalog.models.flatMap((model, place) => {
    const cost = costOf(model);
    if (!cost) return [];
    return model.figures.filter((figure) => figure.data === state.data).map((figure) => ({
      x: cost.x, y: figure.top1, label: label(model.name), series: figure.series, measured: figure.measured,
      colour: colour.get(figure.series), dim: !kept[place], pick: () => open(place),
      lines: [model.name, `top-1 ${figure.top1.toFixed(2)} %, ${figure.series}`, cost.says],
    }));
  });
  const theirs = catalog.rivals.filter((rival) => rival.data === state.data && ours.length).flatMap((rival) => {
    const cost = costOf(rival);
    if (!cost) return [];
    return [{
      x: cost.x, y: rival.top1, label: rival.name, series: RIVALS, measured: false, colour: "rival", dim: false, pick: null,
      lines: [rival.name, `top-1 ${rival.top1.toFixed(2)} %, published for ${rival.about}`, cost.says],
    }];
  });
  return [...ours, ...theirs];
}

function drawLegend(points) {
  const kinds = new Map(points.map((point) => [point.series, point]));
  $("legend").replaceChildren(...[...kinds].map(([series, point]) => {
    const item = document.createElement("li");
    const svg = make("svg", { viewBox: "0 0 14 14", class: `c-${point.colour}`, "aria-hidden": "true" }, item);
    drawMark(svg, point, 7, 7);
    item.append(series);
    return item;
  }));
}

function offer() {
  const here = catalog.models.filter((model) => model.figures.some((figure) => figure.data === state.data));
  const machines = count(here.flatMap((model) => model.latency.map((one) => one.on)));
  if (!machines.includes(state.on)) state.on = machines[0];
  $("on").replaceChildren(...machines.map((machine) => new Option(machine, machine, false, machine === state.on)));
  $("on-row").hidden = machines.length === 0;
  $("choices").hidden = datasets.length < 2;
  $("choices").replaceChildren(...datasets.map((data) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = button.title = data;
    button.setAttribute("aria-pressed", String(data === state.data));
    button.addEventListener("click", () => {
      state.data = data;
      offer();
      draw();
      [...$("choices").children].find((one) => one.textContent === data).focus();
    });
    return button;
  }));
}

/** Pictures without a single model that was asked for are no answer: turn to the images that have one. */
function turn(kept) {
  const has = (data) => catalog.models.some((model, place) => kept[place] && model.figures.some((one) => one.data === data));
  const other = has(state.data) ? undefined : datasets.find(has);
  if (other === undefined) return;
  state.data = other;
  offer();
}

function draw() {
  const kept = wanted();
  cards.forEach((card, place) => (card.hidden = !kept[place]));
  const left = kept.filter(Boolean).length;
  $("count").textContent = left === cards.length ? `${left}` : `${left} of ${cards.length}`;
  $("nothing").hidden = left > 0 || cards.length === 0;
  if (state.data === undefined) return;
  const byMflops = pointsBy((model) => ({ x: model.mflops, says: `${shown(model.mflops)} MFLOPs` }), kept);
  const byLatency = pointsBy((model) => {
    const times = model.latency.filter((one) => one.on === state.on);
    if (!times.length) return null;
    const best = times.reduce((a, b) => (b.ms < a.ms ? b : a));
    return { x: best.ms, says: `${shown(best.ms)} ms${best.file ? ` (${best.file})` : ""}` };
  }, kept);
  tip(null);
  drawChart($("by-mflops"), { points: byMflops, title: "MFLOPs (multiply-adds)", empty: "", tip });
  drawChart($("by-latency"), { points: byLatency, title: "latency of one image, ms (median)", tip,
    empty: "No latency of these models has been measured." });
  drawLegend([...byMflops, ...byLatency]);
}

// Modules and WebAssembly are not to be had from a file: the link would lead to a page that cannot work.
if (location.protocol === "file:") {
  for (const link of document.querySelectorAll(".try")) {
    link.querySelector("a").hidden = true;
    link.querySelector(".offline").hidden = false;
  }
}

$("filter").hidden = cards.length < 2;
$("filter").addEventListener("input", () => {
  turn(wanted());
  draw();
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("clear").addEventListener("click", () => {
  $("filter").reset();
  draw();
});
$("on").addEventListener("change", () => {
  state.on = $("on").value;
  draw();
});
$("pictures").hidden = state.data === undefined;
offer();
draw();
let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth !== width) draw();
  width = window.innerWidth;
});
if (/^#m\d+$/.test(location.hash) && $(location.hash.slice(1))) $(location.hash.slice(1)).open = true;
