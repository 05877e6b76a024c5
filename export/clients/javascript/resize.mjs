// Pillow's Image.resize for 8-bit RGB, to the last bit. The coefficients are cut to the same fixed-point
// numbers and each of the two passes rounds to 8 bits, as in Pillow; a browser's own scaling does neither.
import { ClientError } from "./errors.mjs";

const PRECISION_BITS = 32 - 8 - 2; // 8 bits of pixel, 2 of headroom for filters with negative lobes
const UNIT = 2 ** PRECISION_BITS;
const MANY_STEPS = 2 ** 24; // that are not summed up one by one any more

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const HAMMING = [Math.fround(0.54), Math.fround(0.46)]; // in Pillow, too, they are single-precision numbers

function hamming(x) {
  x = Math.abs(x);
  if (x === 0) return 1;
  if (x >= 1) return 0;
  x *= Math.PI;
  return (Math.sin(x) / x) * (HAMMING[0] + HAMMING[1] * Math.cos(x));
}

const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Names of the filters that {@link resize} knows. */
export const INTERPOLATIONS = ["nearest", ...Object.keys(FILTERS)];

/** For `count` target places from `start` on: the first source place and the fixed-point weights from there. */
function coefficients(source, target, filter, start, count) {
  const scale = source / target;
  const stretch = Math.max(scale, 1); // wider when shrinking: this is the antialiasing
  const support = filter.support * stretch;
  const taps = [];
  for (let place = start; place < start + count; place++) {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(source, Math.trunc(centre + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let i = first; i < end; i++) {
      const weight = filter.weight((i - centre + 0.5) * (1 / stretch));
      weights.push(weight);
      sum += weight;
    }
    const fixed = weights.map((weight) => {
      const part = sum === 0 ? weight : weight / sum;
      return Math.trunc((part < 0 ? -0.5 : 0.5) + part * UNIT);
    });
    taps.push({ first, weights: Int32Array.from(fixed) });
  }
  return taps;
}

/** One pass along an axis: `lines` lines of `target` pixels, `step` and `stride` in bytes. */
function pass(source, result, taps, { lines, step, lineSource, lineTarget }) {
  for (let line = 0; line < lines; line++) {
    const from = line * lineSource;
    const to = line * lineTarget;
    for (let place = 0; place < taps.length; place++) {
      const { first, weights } = taps[place];
      for (let channel = 0; channel < 3; channel++) {
        let sum = UNIT / 2; // rounds to the nearest
        let at = from + first * step + channel;
        for (let i = 0; i < weights.length; i++, at += step) sum += source[at] * weights[i];
        const value = sum >> PRECISION_BITS;
        result[to + place * step + channel] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
}

function horizontal(image, taps) {
  const width = taps.length;
  const data = new Uint8Array(width * image.height * 3);
  pass(image.data, data, taps, {
    lines: image.height, step: 3, lineSource: image.width * 3, lineTarget: width * 3,
  });
  return { width, height: image.height, data };
}

function vertical(image, taps) {
  const height = taps.length;
  const data = new Uint8Array(image.width * height * 3);
  pass(image.data, data, taps, { lines: image.width, step: image.width * 3, lineSource: 3, lineTarget: 3 });
  return { width: image.width, height, data };
}

/** The part of an image from (left, top) on. */
function cut(image, { left, top, width, height }) {
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + width * 3), row * width * 3);
  }
  return { width, height, data };
}

/** One axis: the taps of `count` target places, counted from the first source place that any of them needs. */
function along(source, target, filter, start, count) {
  if (source === target) return { taps: null, first: start, length: count };
  const taps = coefficients(source, target, filter, start, count);
  const { first } = taps[0];
  const last = taps.at(-1);
  const length = last.first + last.weights.length - first;
  return { taps: taps.map((tap) => ({ ...tap, first: tap.first - first })), first, length };
}

/** The source place of each target place; summed up step by step, as Pillow does, roundings included. */
function nearestPlaces(source, target, start, count) {
  const scale = source / target;
  const places = new Int32Array(count);
  let [place, at] = [0, scale * 0.5];
  if (start > MANY_STEPS) [place, at] = [start, scale * (start + 0.5)];
  for (; place < start + count; place++, at += scale) {
    if (place >= start) places[place - start] = Math.min(Math.trunc(at), source - 1);
  }
  return places;
}

function nearest(image, width, height, window) {
  const columns = nearestPlaces(image.width, width, window.left, window.width);
  const rows = nearestPlaces(image.height, height, window.top, window.height);
  const data = new Uint8Array(window.width * window.height * 3);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * image.width + column) * 3;
      data[to++] = image.data[from];
      data[to++] = image.data[from + 1];
      data[to++] = image.data[from + 2];
    }
  }
  return { width: window.width, height: window.height, data };
}

/**
 * Whether Pillow's vertical pass comes first: since Pillow 13 where the rows that go are more than twice the
 * columns that do; before, never. As each pass rounds, the order is worth 1/255 here and there.
 */
function verticalFirst(image, width, height) {
  return height < image.height && 2 * (image.width - width) < image.height - height;
}

/**
 * An image of `width` × `height` pixels, or a part of it: only that part is made, however large the whole is.
 *
 * @param {{width: number, height: number, data: Uint8Array}} image 8-bit RGB, row by row
 * @param {string} interpolation one of {@link INTERPOLATIONS}
 * @param {{left: number, top: number, width: number, height: number}} [window] the part
 */
export function resize(image, width, height, interpolation, window = { left: 0, top: 0, width, height }) {
  if (!INTERPOLATIONS.includes(interpolation)) {
    throw new ClientError(`interpolation '${interpolation}' is unknown; known: ${INTERPOLATIONS.join(", ")}`);
  }
  if (interpolation === "nearest") return nearest(image, width, height, window);
  const filter = FILTERS[interpolation];
  const x = along(image.width, width, filter, window.left, window.width);
  const y = along(image.height, height, filter, window.top, window.height);
  const needed = cut(image, { left: x.first, top: y.first, width: x.length, height: y.length });
  const across = (from) => (x.taps === null ? from : horizontal(from, x.taps));
  const down = (from) => (y.taps === null ? from : vertical(from, y.taps));
  return verticalFirst(image, width, height) ? across(down(needed)) : down(across(needed));
}
