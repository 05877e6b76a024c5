// PNG to 8-bit RGB with the bytes as they are in the file: no colour management, of 16 bits the upper 8,
// transparency as the entry says. A browser's canvas would multiply the colours by their transparency and
// apply colour profiles, and then the network would see other numbers than it was measured on.
import { ClientError, refuseTooLarge } from "./errors.mjs";
import { orientationOf, upright } from "./orientation.mjs";
import { DROPPED, opaque } from "./transparency.mjs";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether these are the bytes of a PNG. */
export function isPng(bytes) {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** The EXIF orientation of a PNG; raises {@link ClientError} when it is cut off or too large to unpack. */
function inspect(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    if (type === "IHDR" && data.length >= 8) refuseTooLarge(view.getUint32(at + 8), view.getUint32(at + 12));
    if (type === "eXIf") orientation = orientationOf(data);
    if (type === "IEND") return orientation;
  }
  throw new ClientError("the PNG is cut off");
}

/**
 * The pixels of a PNG, upright.
 *
 * @param {Uint8Array} bytes of the file
 * @param {(bytes: Uint8Array) => {width: number, height: number, data: Uint8Array}} decode gives RGBA; of @jsquash/png
 * @param {string} [transparency] what becomes of transparent parts: "white" or "dropped"
 * @returns {{width: number, height: number, data: Uint8Array}} 8-bit RGB
 */
export function decodePng(bytes, decode, transparency = DROPPED) {
  const orientation = inspect(bytes);
  let rgba;
  try {
    rgba = decode(bytes);
  } catch (error) {
    throw new ClientError("the PNG is damaged", { cause: error });
  }
  return upright(opaque(rgba, transparency), orientation);
}
