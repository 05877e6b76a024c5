// An image file, dropped or chosen, as 8-bit RGB, upright.
import { ClientError } from "../javascript/errors.mjs";
import { decodePng, isPng } from "../javascript/png.mjs";

const MAX_PIXELS = 178_956_970;

/** RGB of RGBA; transparency is dropped, not blended, as where the network was measured. */
function withoutAlpha({ width, height, data: rgba }) {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}

/** The browser's own decoder, for everything but PNG: it turns the image upright as its EXIF data say. */
async function decodeByBrowser(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw new ClientError("not an image that this browser can read", { cause: error });
  }
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new ClientError(`the image is too large (${width} × ${height} pixels)`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return withoutAlpha(context.getImageData(0, 0, width, height));
}

/**
 * The image of a file; raises {@link ClientError} for what is none.
 *
 * @param {Blob} blob
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 8-bit RGB
 */
export async function readImage(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return isPng(bytes) ? decodePng(bytes) : decodeByBrowser(blob);
}
