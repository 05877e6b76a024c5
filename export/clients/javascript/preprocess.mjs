// From an RGB image to the network's input, in the way that the entry's config.json states.
import { resizePlanes } from "./cubic.mjs";
import { ClientError } from "./errors.mjs";
import { resize } from "./resize.mjs";

// The AttentiveNAS authors' evaluation: these sizes and this filter do not depend on the architecture.
const REFERENCE = { resize: 256, crop: 224, interpolation: "bilinear" };

/** Rounds halves to the even neighbour, as Python does; it places the centre crop. */
function round(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** The middle `side` × `side` pixels once the shorter side is `short`; the longer one is rounded down. */
function resizeAndCrop(image, short, side, interpolation) {
  const [least, most] = [Math.min(image.width, image.height), Math.max(image.width, image.height)];
  const longer = Math.trunc((short * most) / least);
  const [width, height] = image.width <= image.height ? [short, longer] : [longer, short];
  const [left, top] = [round((width - side) / 2), round((height - side) / 2)];
  return resize(image, width, height, interpolation, { left, top, width: side, height: side });
}

/** (3, side, side) float32 of a square image; every step in float32, as numpy and torch compute it. */
function normalised(image, { mean, std }) {
  const count = image.width * image.height;
  const result = new Float32Array(3 * count);
  for (let channel = 0; channel < 3; channel++) {
    const [m, s] = [Math.fround(mean[channel]), Math.fround(std[channel])];
    const table = Float32Array.from({ length: 256 }, (_, i) => Math.fround(Math.fround(i / 255) - m) / s);
    for (let i = 0; i < count; i++) result[channel * count + i] = table[image.data[i * 3 + channel]];
  }
  return result;
}

/** `native`, as timm evaluates: shorter side to ⌊R / crop_pct⌋, centre crop R. */
function native(image, info) {
  const short = Math.floor(info.resolution / info.crop_pct);
  const seen = resizeAndCrop(image, short, info.resolution, info.interpolation);
  return { seen, input: normalised(seen, info) };
}

/** `reference`: a 224 crop of a 256 image (bilinear), normalised, then resized to R (bicubic, in floats). */
function reference(image, info) {
  const seen = resizeAndCrop(image, REFERENCE.resize, REFERENCE.crop, REFERENCE.interpolation);
  return { seen, input: resizePlanes(normalised(seen, info), 3, REFERENCE.crop, info.resolution) };
}

const MODES = { native, reference };

/** Raises {@link ClientError} for a mode of preprocessing that this client cannot do. */
export function checkMode(mode) {
  if (!Object.hasOwn(MODES, mode)) {
    const known = Object.keys(MODES).join(", ");
    throw new ClientError(`preprocessing mode '${mode}' is unknown to this client; it knows ${known}`);
  }
}

/**
 * What the network gets of an image.
 *
 * @param {{width: number, height: number, data: Uint8Array}} image 8-bit RGB, upright
 * @param {object} info `anas.preprocessing` of config.json
 * @returns {{input: Float32Array, seen: object}} `input` is (3, R, R); `seen` the crop before normalising
 */
export function preprocess(image, info) {
  checkMode(info.mode);
  return MODES[info.mode](image, info);
}
