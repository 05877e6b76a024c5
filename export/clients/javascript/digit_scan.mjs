// A digit drawn by hand as an 8×8 scan of the kind that the digits models learnt: white ink that fills the
// frame from top to bottom, on black, each cell with one of 17 grey levels.

const FRAME = 32; // the scans were bitmaps of 32×32 first; a cell is the count of ink in 4×4 of it
const CELL = 4;
const WIDEST = 24; // as in the scans, whose ink hardly ever reaches the left and right edge
// The scans had their stroke width made even: whatever the digit, three tenths of the frame are ink.
const INK = 310;
const PEN = 5; // the part of the frame that half the stroke takes on either side, before it is made even

function bounds(points) {
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

/** Strokes moved and stretched into the frame: full height, and no wider than its shape or WIDEST. */
function fit(strokes) {
  const { left, right, top, bottom } = bounds(strokes.flat());
  const [width, height] = [right - left, bottom - top];
  const scaleY = height > 0 ? (FRAME - PEN) / height : (WIDEST - PEN) / (width || 1);
  const scaleX = width > 0 ? Math.min(scaleY, (WIDEST - PEN) / width) : 1;
  const place = (value, low, high, scale) => FRAME / 2 + (value - (low + high) / 2) * scale;
  return strokes.map((stroke) =>
    stroke.map(({ x, y }) => ({ x: place(x, left, right, scaleX), y: place(y, top, bottom, scaleY) })));
}

/** Squared distance from a point to the line between `a` and `b`. */
function distance(x, y, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const t = length > 0 ? Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / length)) : 0;
  return (x - a.x - t * dx) ** 2 + (y - a.y - t * dy) ** 2;
}

/**
 * The scan of what was drawn.
 *
 * @param {{x: number, y: number}[][]} strokes lines in any unit, y downwards; at least one point in all
 * @returns {{width: 8, height: 8, data: Uint8Array}} 8-bit RGB
 */
export function scanDigit(strokes) {
  const segments = fit(strokes.filter((stroke) => stroke.length > 0)).flatMap((stroke) =>
    stroke.map((point, i) => [stroke[Math.max(0, i - 1)], point]));
  const pixels = Array.from({ length: FRAME * FRAME }, (_, i) => {
    const [x, y] = [(i % FRAME) + 0.5, Math.floor(i / FRAME) + 0.5];
    return { i, far: Math.min(...segments.map(([a, b]) => distance(x, y, a, b))) };
  });
  const ink = pixels.sort((a, b) => a.far - b.far || a.i - b.i).slice(0, INK);

  const side = FRAME / CELL;
  const counts = new Uint8Array(side * side);
  for (const { i } of ink) {
    counts[Math.floor(i / FRAME / CELL) * side + Math.floor((i % FRAME) / CELL)]++;
  }
  const data = new Uint8Array(3 * side * side);
  counts.forEach((count, i) => data.fill(Math.round((count * 255) / (CELL * CELL)), 3 * i, 3 * i + 3));
  return { width: side, height: side, data };
}
