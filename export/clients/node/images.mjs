// Image files to 8-bit RGB, upright: the pixels that Pillow gives.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import decodeJpegFile, { init as initJpeg } from "@jsquash/jpeg/decode.js";
import initPng, { decode as decodePngFile } from "@jsquash/png/codec/pkg/squoosh_png.js";

import { ClientError, refuseTooLarge } from "../javascript/errors.mjs";
import { orientationOf, upright } from "../javascript/orientation.mjs";
import { decodePng, isPng } from "../javascript/png.mjs";
import { DROPPED, opaque } from "../javascript/transparency.mjs";

const [START, END, SCAN, APP1] = [0xd8, 0xd9, 0xda, 0xe1];
const NO_FRAME_HEADERS = [0xc4, 0xc8, 0xcc]; // among C0 to CF, which else begin a frame

// What the decoders give, which browsers have and node does not.
globalThis.ImageData ??= class {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height });
  }
};

async function compiled(wasm) {
  return WebAssembly.compile(await readFile(fileURLToPath(import.meta.resolve(wasm))));
}

/** Orientation and colour components of a JPEG; raises {@link ClientError} when its end is missing. */
function inspectJpeg(bytes) {
  let [orientation, components] = [1, 0];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    const length = bytes.readUInt16BE(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + length);
    if (marker === SCAN) {
      if (bytes.indexOf(Buffer.of(0xff, END), at) < 0) throw new ClientError("the JPEG is cut off");
      return { orientation, components };
    }
    if (marker === APP1 && data.subarray(0, 6).equals(Buffer.from("Exif\0\0"))) {
      orientation = orientationOf(data.subarray(6));
    }
    if (marker >= 0xc0 && marker <= 0xcf && !NO_FRAME_HEADERS.includes(marker) && data.length > 5) {
      refuseTooLarge(data.readUInt16BE(3), data.readUInt16BE(1));
      components = data[5];
    }
    at += 2 + length;
  }
  throw new ClientError("the JPEG is cut off or damaged");
}

async function decodeJpeg(bytes) {
  const { orientation, components } = inspectJpeg(bytes);
  if (components === 4) throw new ClientError("a CMYK JPEG; convert it to RGB first");
  let rgba;
  try {
    // libjpeg, so its pixels are Pillow's to the last bit; anew for each image, as one that it fails on breaks it.
    await initJpeg(await compiled("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"), { print() {}, printErr() {} });
    rgba = await decodeJpegFile(bytes);
  } catch (error) {
    throw new ClientError(`the JPEG is damaged (${error.message ?? error})`, { cause: error });
  }
  return upright(opaque(rgba, DROPPED), orientation);
}

/**
 * The image of a PNG or JPEG file.
 *
 * @param {string} path
 * @param {string} [transparency] what becomes of transparent parts, as the entry's preprocessing says
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 8-bit RGB
 * Raises {@link ClientError} that names a file which is no readable image.
 */
export async function readImage(path, transparency = DROPPED) {
  try {
    const bytes = await readFile(path);
    if (isPng(bytes)) {
      await initPng(await compiled("@jsquash/png/codec/pkg/squoosh_png_bg.wasm"));
      return decodePng(bytes, decodePngFile, transparency);
    }
    if (bytes[0] === 0xff && bytes[1] === START) return await decodeJpeg(bytes);
    throw new ClientError("neither PNG nor JPEG; convert it first");
  } catch (error) {
    if (error.code === "ENOENT") throw new ClientError(`${path}: no such file`, { cause: error });
    if (error instanceof ClientError || error.code) throw new ClientError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
