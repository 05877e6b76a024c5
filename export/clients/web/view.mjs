// What the page shows. An entry may come from anywhere: its texts become text, never markup.

const $ = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Shows `text` in the element `id`, in the colour of `kind`: "", "good" or "bad". */
export function say(id, text, kind = "") {
  $(id).textContent = text;
  $(id).className = kind;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const percent = (value, digits) => `${value.toFixed(digits)}\u00a0%`;
const sides = (width, height) => `${width}\u00a0×\u00a0${height}`; // on one line

/** Milliseconds, or microseconds where that reads better. */
function duration(ms) {
  return ms < 0.1 ? `${(1000 * ms).toFixed(0)} µs` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

function preprocessingText(info) {
  const { mode, resolution: side, interpolation, crop_pct: crop } = info;
  if (mode === "reference") return `reference: 224 of 256 pixels, bilinear; then ${side}, bicubic`;
  return `${mode}: shorter side to ${Math.floor(side / crop)} (${interpolation}), centre ${sides(side, side)}`;
}

function factsOf({ config, report, labels, preprocessing, file }) {
  const { accuracy, cost } = report;
  const latency = report.files[file.name].latency?.[0];
  const size = sides(preprocessing.resolution, preprocessing.resolution);
  const facts = { Input: `RGB, ${size} pixels` };
  facts.Preprocessing = preprocessingText(preprocessing);
  facts.Classes = labels.length > 12 ? `${labels.length}: ${labels.slice(0, 12).join(", ")}, …` : labels.join(", ");
  if (isNumber(accuracy?.top1_pct)) {
    facts["Top-1"] = `${percent(accuracy.top1_pct, 2)} of ${accuracy.images} images (${accuracy.split}): ${accuracy.source}`;
  }
  if (isNumber(cost?.macs)) {
    const params = Number(cost.params).toLocaleString("en");
    facts.Cost = `${(cost.macs / 1e6).toPrecision(3)} MFLOPs (multiply-adds), ${params} parameters`;
  }
  if (isNumber(latency?.p50_ms)) {
    facts["Latency measured"] = `${duration(latency.p50_ms)} on ${latency.machine}, ${latency.runtime}`;
  }
  facts.Weights = `${config.anas.weights.licence}; ${config.anas.weights.source}`;
  facts.File = `${file.name}, SHA-256 ${file.sha256}`;
  return facts;
}

/** The entry's name, and what its files say of it. */
export function showEntry(entry) {
  const facts = factsOf(entry);
  document.title = `${entry.name} · anas-zoo`;
  $("name").textContent = entry.name;
  const top1 = entry.report.accuracy?.top1_pct;
  const parts = [`${entry.labels.length} classes`, `${entry.preprocessing.resolution} pixels a side`];
  if (isNumber(top1)) parts.push(`top-1 ${percent(top1, 1)}`);
  $("summary").textContent = parts.join(" · ");
  $("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function paint(canvas, { width, height, data }) {
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data[to] = data[from];
    pixels.data[to + 1] = data[from + 1];
    pixels.data[to + 2] = data[from + 2];
    pixels.data[to + 3] = 255;
  }
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function classRow({ label, probability_pct: value }) {
  const row = element("li");
  const fill = element("span", undefined, "fill");
  fill.style.width = `${value}%`;
  row.append(fill, element("span", label, "text"), element("span", percent(value, 1), "text"));
  return row;
}

/** Takes the last result away, for example when the drawing was cleared. */
export function showNothing(text, kind = "quiet") {
  say("empty", text, kind);
  $("empty").hidden = false;
  $("result").hidden = true;
}

/** What the network says of an image, what it saw, and how long it took. */
export function showResult({ name, image, seen, classes, preparedMs, latencyMs, repeats, threads }) {
  $("empty").hidden = true;
  $("result").hidden = false;
  $("answer").replaceChildren(
    document.createTextNode(classes[0].label), " ", element("small", percent(classes[0].probability_pct, 1)));
  $("classes").replaceChildren(...classes.map(classRow));
  const threadsText = `${threads} ${threads === 1 ? "thread" : "threads"}`;
  $("timing").textContent =
    `network ${duration(latencyMs)} (median of ${repeats}, ${threadsText}), preprocessing ${duration(preparedMs)}`;
  paint($("whole"), image);
  $("whole").className = Math.max(image.width, image.height) <= 64 ? "pixels" : "";
  $("whole-text").textContent = `${name}, ${sides(image.width, image.height)}`;
  paint($("seen"), seen);
  $("seen-text").textContent = `what the network sees, ${sides(seen.width, seen.height)}`;
}
