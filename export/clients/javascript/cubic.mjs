// torch's interpolate(mode="bicubic", align_corners=False, antialias=False) of float32 planes.

const A = -0.75;
const TAPS = 4;

/** The four taps of cubic convolution for each target place; half-pixel centres, edges repeated. */
function taps(source, target) {
  // Places in float32, as torch has them: near the far edge that is worth 1e-5 of a grey level.
  const scale = Math.fround(source / target);
  const places = new Int32Array(target * TAPS);
  const weights = new Float64Array(target * TAPS);
  for (let place = 0; place < target; place++) {
    const centre = Math.fround(Math.fround(scale * Math.fround(place + 0.5)) - 0.5);
    const before = Math.floor(centre) - 1;
    for (let i = 0; i < TAPS; i++) {
      const x = Math.abs(centre - (before + i));
      const near = ((A + 2) * x - (A + 3)) * x * x + 1;
      const far = ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
      places[place * TAPS + i] = Math.min(Math.max(before + i, 0), source - 1);
      weights[place * TAPS + i] = x <= 1 ? near : far;
    }
  }
  return { places, weights };
}

/**
 * (planes, source, source) -> (planes, target, target), both float32 and row by row.
 *
 * @param {Float32Array} values
 */
export function resizePlanes(values, planes, source, target) {
  if (source === target) return values;
  const { places, weights } = taps(source, target);
  const result = new Float32Array(planes * target * target);
  const rows = new Float64Array(source * target); // one plane, already resized along x
  for (let plane = 0; plane < planes; plane++) {
    for (let y = 0; y < source; y++) {
      const from = (plane * source + y) * source;
      for (let x = 0; x < target; x++) {
        let sum = 0;
        for (let i = x * TAPS; i < (x + 1) * TAPS; i++) sum += values[from + places[i]] * weights[i];
        rows[y * target + x] = sum;
      }
    }
    for (let y = 0; y < target; y++) {
      for (let x = 0; x < target; x++) {
        let sum = 0;
        for (let i = y * TAPS; i < (y + 1) * TAPS; i++) sum += rows[places[i] * target + x] * weights[i];
        result[(plane * target + y) * target + x] = sum;
      }
    }
  }
  return result;
}
