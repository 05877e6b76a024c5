// Draws accuracy over a cost as SVG. Texts are set as text, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

/** Round numbers from low to high, about `count` of them. */
function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((times) => times * unit >= rough);
  const ticks = [];
  for (let place = Math.ceil(low / step); place * step <= high; place++) ticks.push(place * step);
  return ticks;
}

function logTicks(low, high, count) {
  for (const mantissas of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7]]) {
    const ticks = [];
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
      for (const mantissa of mantissas) ticks.push(mantissa * 10 ** decade);
    }
    const inside = ticks.filter((tick) => tick >= low && tick <= high);
    if (inside.length >= count - 1) return inside.length > 2 * count ? inside.filter((_, i) => i % 2 === 0) : inside;
  }
  return linearTicks(low, high, count);
}

function shown(value) {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
}

/** Scale of the costs, from the numbers in use to pixels; logarithmic where they differ much. */
function costScale(values, left, right) {
  let low = Math.min(...values), high = Math.max(...values);
  const log = low > 0 && high / low > 4;
  if (log) {
    const margin = (high / low) ** 0.06;
    low /= margin;
    high *= margin;
    const scale = (value) => left + ((right - left) * Math.log(value / low)) / Math.log(high / low);
    return { scale, ticks: logTicks(low, high, 4) };
  }
  const margin = (high - low) * 0.06 || high * 0.1 || 1;
  low = Math.max(0, low - margin);
  high += margin;
  return { scale: (value) => left + ((right - left) * (value - low)) / (high - low), ticks: linearTicks(low, high, 5) };
}

/** The points that no other beats in both, from the cheapest on. */
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) {
    if (!best.length || point.y > best[best.length - 1].y) best.push(point);
  }
  return best;
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Writes names beside points where there is room; a point without one still tells it when pointed at. */
function writeLabels(svg, placed, frame) {
  const taken = placed.map(({ px, py }) => ({ left: px - 6, right: px + 6, top: py - 6, bottom: py + 6 }));
  for (const { px, py, point } of placed.filter((one) => !one.point.dim)) {
    const text = make("text", { class: `label c-${point.colour}` }, svg, point.label);
    const width = text.getComputedTextLength(), height = 13;
    const places = [[-width / 2, -21], [9, -6], [-width / 2, 9], [-width - 9, -6], [7, -19], [7, 7], [-width - 7, -19], [-width - 7, 7]];
    const boxes = places.map(([x, y]) => ({ left: px + x, right: px + x + width, top: py + y, bottom: py + y + height }));
    const free = boxes.find((box) => box.left >= frame.left && box.right <= frame.right && box.top >= frame.top &&
      box.bottom <= frame.bottom && !taken.some((other) => overlap(box, other)));
    if (!free) {
      text.remove();
      continue;
    }
    taken.push(free);
    text.setAttribute("x", free.left);
    text.setAttribute("y", free.bottom - 3);
  }
}

function drawMark(group, point, x, y) {
  const kind = `mark${point.measured ? "" : " hollow"}`;
  if (point.colour === "rival") make("rect", { class: kind, x: x - 4.5, y: y - 4.5, width: 9, height: 9 }, group);
  else make("circle", { class: kind, cx: x, cy: y, r: 5.5 }, group);
  make("circle", { cx: x, cy: y, r: 13, fill: "transparent" }, group); // a finger is wider than a mark
}

/**
 * Draws `points` into `host`: {x, y, label, colour, series, measured, dim, lines, pick}, pick being what a click
 * does, or null. `empty` is said where there are none; `tip(point, element)` shows what a point says, or hides it.
 */
function drawChart(host, { points, title, empty, tip }) {
  host.replaceChildren();
  if (!points.length) {
    const note = document.createElement("p");
    note.className = "none";
    note.textContent = empty;
    host.append(note);
    return;
  }
  const width = Math.max(260, host.clientWidth), height = Math.round(Math.min(380, Math.max(270, width * 0.66)));
  const frame = { left: 44, right: width - 8, top: 8, bottom: height - 44 };
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": `top-1 over ${title}` }, host);
  const costs = costScale(points.map((point) => point.x), frame.left + 6, frame.right - 6);
  const ys = points.map((point) => point.y), spread = Math.max(...ys) - Math.min(...ys) || 1;
  const low = Math.max(0, Math.min(...ys) - 0.1 * spread), high = Math.min(100.5, Math.max(...ys) + 0.14 * spread);
  const scaleY = (y) => frame.bottom - ((frame.bottom - frame.top) * (y - low)) / (high - low);
  for (const tick of linearTicks(low, high, 5)) {
    make("line", { class: "grid", x1: frame.left, x2: frame.right, y1: scaleY(tick), y2: scaleY(tick) }, svg);
    make("text", { x: frame.left - 7, y: scaleY(tick) + 4, "text-anchor": "end" }, svg, shown(tick));
  }
  for (const tick of costs.ticks) {
    const x = costs.scale(tick);
    make("line", { class: "grid", x1: x, x2: x, y1: frame.top, y2: frame.bottom }, svg);
    make("text", { x, y: frame.bottom + 17, "text-anchor": "middle" }, svg, shown(tick));
  }
  make("text", { x: (frame.left + frame.right) / 2, y: height - 6, "text-anchor": "middle" }, svg, title);
  make("text", { x: 12, y: (frame.top + frame.bottom) / 2, "text-anchor": "middle",
    transform: `rotate(-90 12 ${(frame.top + frame.bottom) / 2})` }, svg, "top-1, %");
  for (const series of new Set(points.filter((point) => point.pick).map((point) => point.series))) {
    const line = front(points.filter((point) => point.series === series && !point.dim));
    if (line.length < 2) continue;
    const path = line.map(({ x, y }, i) => (i ? `H${costs.scale(x)}V${scaleY(y)}` : `M${costs.scale(x)},${scaleY(y)}`));
    make("path", { class: `front c-${line[0].colour}`, d: path.join("") }, svg);
  }
  const placed = points.map((point) => ({ point, px: costs.scale(point.x), py: scaleY(point.y) }));
  for (const { point, px, py } of placed) {
    const words = `point c-${point.colour}${point.dim ? " dim" : ""}${point.pick ? "" : " still"}`;
    const group = make("g", { class: words, tabindex: point.dim ? -1 : 0, role: point.pick ? "button" : "img",
      "aria-label": point.lines.join(", ") }, svg);
    drawMark(group, point, px, py);
    for (const event of ["pointerenter", "focus"]) group.addEventListener(event, () => tip(point, group));
    for (const event of ["pointerleave", "blur"]) group.addEventListener(event, () => tip(null));
    if (!point.pick) continue;
    group.addEventListener("click", point.pick);
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        point.pick();
      }
    });
  }
  writeLabels(svg, placed, frame);
}
