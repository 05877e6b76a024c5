// EXIF orientation: where it stands in a file, and how to turn the pixels upright.

const TAG = 0x0112;

/** Orientation (1 to 8) of a TIFF block, which is what EXIF data are; 1 where there is none. */
export function orientationOf(tiff) {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const mark = view.getUint16(0);
  if (mark !== 0x4949 && mark !== 0x4d4d) return 1;
  const little = mark === 0x4949;
  const start = view.getUint32(4, little);
  if (start + 2 > tiff.length) return 1;
  const count = view.getUint16(start, little);
  for (let i = 0, at = start + 2; i < count && at + 12 <= tiff.length; i++, at += 12) {
    if (view.getUint16(at, little) !== TAG) continue;
    const long = view.getUint16(at + 2, little) === 4;
    const value = long ? view.getUint32(at + 8, little) : view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** The image as people see it: an RGB image turned and mirrored as its `orientation` says. */
export function upright(image, orientation) {
  if (orientation === 1) return image;
  const { width, height, data } = image;
  const turned = orientation >= 5; // the sides change places
  const mirroredX = [2, 3, 7, 8].includes(orientation);
  const mirroredY = [3, 4, 6, 7].includes(orientation);
  const [newWidth, newHeight] = turned ? [height, width] : [width, height];
  const result = new Uint8Array(data.length);
  let to = 0;
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      const [u, v] = turned ? [y, x] : [x, y];
      const column = mirroredX ? width - 1 - u : u;
      const row = mirroredY ? height - 1 - v : v;
      const from = (row * width + column) * 3;
      result[to++] = data[from];
      result[to++] = data[from + 1];
      result[to++] = data[from + 2];
    }
  }
  return { width: newWidth, height: newHeight, data: result };
}
