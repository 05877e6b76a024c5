// An image file, dropped or chosen, as 8-bit RGB, upright.
import { ClientError, refuseTooLarge } from "../javascript/errors.mjs";
import { decodePng, isPng } from "../javascript/png.mjs";
import { DROPPED, opaque } from "../javascript/transparency.mjs";
import initPng, { decode } from "../runtime/squoosh_png.js";

/** The browser's own decoder, for everything but PNG: it turns the image upright as its EXIF data say. */
async function decodeByBrowser(blob, transparency) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw new ClientError("not an image that this browser can read", { cause: error });
  }
  const { width, height } = bitmap;
  refuseTooLarge(width, height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return opaque(context.getImageData(0, 0, width, height), transparency);
}

/**
 * The image of a file; raises {@link ClientError} if it is not an image.
 *
 * @param {Blob} blob
 * @param {string} [transparency] what becomes of transparent parts, as the entry's preprocessing says
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 8-bit RGB
 */
export async function readImage(blob, transparency = DROPPED) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!isPng(bytes)) return decodeByBrowser(blob, transparency);
  await initPng();
  return decodePng(bytes, decode, transparency);
}
