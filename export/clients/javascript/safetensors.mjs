// Read float32 tensors of a .safetensors file.
import { ClientError } from "./errors.mjs";

const MAX_HEADER_BYTES = 100_000_000; // the format's own limit

/**
 * The float32 tensors of the file, by name.
 *
 * @param {Uint8Array} bytes
 * @param {string} what names the file in errors
 * @returns {Record<string, {shape: number[], data: Float32Array}>}
 */
export function readTensors(bytes, what) {
  const wrong = (why) => new ClientError(`${what}: not a safetensors file (${why})`);
  if (bytes.length < 8) throw wrong("too short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = Number(view.getBigUint64(0, true));
  if (size > MAX_HEADER_BYTES || 8 + size > bytes.length) throw wrong("its header is cut off");
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + size)));
  } catch (error) {
    throw wrong(error.message);
  }
  const tensors = Object.create(null);
  for (const [name, info] of Object.entries(header ?? {})) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = info;
    if (dtype !== "F32") throw wrong(`${JSON.stringify(name)} is ${JSON.stringify(dtype)}, not F32`);
    if (![shape, offsets].every((list) => Array.isArray(list) && list.every(Number.isSafeInteger))) {
      throw wrong(`${JSON.stringify(name)} has no proper shape and place`);
    }
    const [from, to] = offsets.map((offset) => 8 + size + offset);
    const count = shape.reduce((product, side) => product * side, 1);
    if (from < 8 + size || to > bytes.length || to - from !== 4 * count) {
      throw wrong(`${JSON.stringify(name)} lies outside of it`);
    }
    const data = Float32Array.from({ length: count }, (_, i) => view.getFloat32(from + 4 * i, true));
    tensors[name] = { shape, data };
  }
  return tensors;
}
