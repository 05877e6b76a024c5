// Run an entry's exported file, in whichever onnxruntime the caller brings (onnxruntime-node or -web).
import { ClientError } from "./errors.mjs";
import { readTensors } from "./safetensors.mjs";

const INPUT = "image";
const OUTPUT = "logits";

// As `anas verify` has them: another machine sums in another order, which relative to the largest logit is
// 1e-6 to 1e-5; and the recorded parity is the worst of many images, but of other ones.
const RELATIVE_TOLERANCE = 1e-4;
const PARITY_MARGIN = 2;

/** Loads the model; raises {@link ClientError} when onnxruntime cannot, or it has other ends than ours. */
export async function openSession(ort, bytes, file, options) {
  let session;
  try {
    session = await ort.InferenceSession.create(bytes, options);
  } catch (error) {
    throw new ClientError(`${file.name}: onnxruntime cannot load it (${error.message ?? error})`, { cause: error });
  }
  if (!session.inputNames.includes(INPUT) || !session.outputNames.includes(OUTPUT)) {
    throw new ClientError(`${file.name}: no input '${INPUT}' and output '${OUTPUT}'`);
  }
  return session;
}

/** Logits (count × classes) of `count` preprocessed images (count, 3, side, side). */
export async function run(ort, session, input, count, side) {
  const image = new ort.Tensor("float32", input, [count, 3, side, side]);
  try {
    const { [OUTPUT]: logits } = await session.run({ [INPUT]: image }, [OUTPUT]);
    return logits.data;
  } catch (error) {
    throw new ClientError(`onnxruntime cannot run the model (${error.message ?? error})`, { cause: error });
  }
}

/** The `top` most probable classes of one image's logits, best first. */
export function best(logits, labels, top) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const odds = Array.from(logits, (value) => Math.exp(value - most));
  const total = odds.reduce((a, b) => a + b, 0);
  return odds
    .map((value, index) => ({ index, label: labels[index], probability_pct: (100 * value) / total }))
    .sort((a, b) => b.probability_pct - a.probability_pct || a.index - b.index)
    .slice(0, top);
}

/**
 * Runs the golden images and compares with the golden logits; how far off, and how far is allowed.
 *
 * @returns {Promise<{ok: boolean, images: number, maxAbsDiff: number, allowed: number}>}
 */
export async function checkGolden(ort, session, entry, bytes) {
  const { images, logits } = readTensors(bytes, "golden.safetensors");
  const side = entry.preprocessing.resolution;
  const [count, classes] = [images?.shape[0] ?? 0, entry.labels.length];
  const shapes = [images?.shape, logits?.shape].map((shape) => JSON.stringify(shape));
  if (count < 1 || shapes[0] !== `[${count},3,${side},${side}]` || shapes[1] !== `[${count},${classes}]`) {
    const given = `images ${shapes[0] ?? "absent"}, logits ${shapes[1] ?? "absent"}`;
    throw new ClientError(`golden.safetensors: ${given}; (N, 3, ${side}, ${side}) and (N, ${classes}) expected`);
  }
  const got = await run(ort, session, images.data, count, side);
  let [largest, maxAbsDiff] = [1, got.length === logits.data.length ? 0 : NaN];
  logits.data.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    maxAbsDiff = Math.max(maxAbsDiff, Math.abs(value - got[i]));
  });
  const allowed = RELATIVE_TOLERANCE * largest + PARITY_MARGIN * entry.file.parity;
  return { ok: maxAbsDiff <= allowed, images: count, maxAbsDiff, allowed }; // not a number is not ok either
}
