// PNG to 8-bit RGB with the bytes as they are in the file: no colour management, of 16 bits the upper 8,
// transparency as the entry says. A browser's canvas would multiply the colours by their transparency and
// apply colour profiles, and then the network would see other numbers than it was measured on.
import { ClientError, refuseTooLarge } from "./errors.mjs";
import { orientationOf, upright } from "./orientation.mjs";
import { DROPPED, onWhite, WHITE } from "./transparency.mjs";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // by colour type
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc(bytes) {
  let value = -1;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ -1) >>> 0;
}

/** Whether these are the bytes of a PNG. */
export function isPng(bytes) {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

function* chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw new ClientError("the PNG is cut off");
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw new ClientError("the PNG is cut off");
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new ClientError(`the PNG is damaged (checksum of ${JSON.stringify(type)})`);
    }
    yield { type, data: bytes.subarray(at + 8, end) };
    if (type === "IEND") return;
    at = end + 4;
  }
}

function readHeader(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, , , interlaced] = data.subarray(8);
  if (width === 0 || height === 0 || !DEPTHS[colour]?.includes(depth) || interlaced > 1) {
    throw new ClientError("the PNG has an impossible header");
  }
  refuseTooLarge(width, height);
  return { width, height, depth, colour, interlaced: interlaced === 1, bits: depth * CHANNELS[colour] };
}

/** Unpack a zlib stream into exactly `size` bytes. */
async function inflate(parts, size) {
  const result = new Uint8Array(size);
  let filled = 0;
  try {
    for await (const part of new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"))) {
      const fitting = part.subarray(0, size - filled);
      result.set(fitting, filled);
      filled += fitting.length;
      if (fitting.length < part.length) break; // more than the header says is ignored, and never unpacked
    }
  } catch (error) {
    throw new ClientError(`the PNG is damaged (${error.message})`, { cause: error });
  }
  if (filled < size) throw new ClientError("the PNG is cut off");
  return result;
}

function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Undo the filter of one row in place; `above` is the row before, zeros for the first. */
function unfilter(kind, row, above, step) {
  for (let i = 0; i < row.length; i++) {
    const left = i < step ? 0 : row[i - step];
    const corner = i < step ? 0 : above[i - step];
    if (kind === 1) row[i] += left;
    else if (kind === 2) row[i] += above[i];
    else if (kind === 3) row[i] += (left + above[i]) >> 1;
    else if (kind === 4) row[i] += paeth(left, above[i], corner);
    else if (kind !== 0) throw new ClientError(`the PNG is damaged (filter ${kind})`);
  }
}

/** The levels of the one colour that a tRNS chunk makes transparent, in as many bits as its pixels get here. */
function clearColour({ depth, colour }, chunk) {
  if (chunk === undefined || (colour !== 0 && colour !== 2)) return null;
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const levels = colour === 0 ? [0] : [0, 2, 4];
  if (chunk.length < 2 * levels.length) throw new ClientError("the PNG is damaged (transparency)");
  return levels.map((at) => view.getUint16(at) >> (depth === 16 ? 8 : 0));
}

/** A function (row, x) -> writes pixel x of an unfiltered row as RGB at `to` and returns its opacity. */
function pixelReader({ depth, colour }, palette, chunk) {
  const clear = clearColour({ depth, colour }, chunk);
  const channels = CHANNELS[colour];
  const bytes = depth === 16 ? 2 : 1;
  const grey = colour === 0 || colour === 4;
  const scale = colour === 0 && depth < 8 ? 255 / (2 ** depth - 1) : 1;
  return (row, x, result, to) => {
    if (depth >= 8 && colour !== 3) {
      const at = x * channels * bytes; // the upper byte of 16 bits comes first
      result[to] = row[at];
      result[to + 1] = row[grey ? at : at + bytes];
      result[to + 2] = row[grey ? at : at + 2 * bytes];
      if (colour >= 4) return row[at + (channels - 1) * bytes];
      return clear?.every((level, i) => level === result[to + i]) ? 0 : 255;
    }
    const bit = x * depth;
    const value = (row[bit >> 3] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    if (colour === 0) {
      result.fill(value * scale, to, to + 3);
      return clear?.[0] === value ? 0 : 255;
    }
    if (value * 3 + 3 > palette.length) throw new ClientError("the PNG is damaged (a colour outside its palette)");
    result.set(palette.subarray(value * 3, value * 3 + 3), to);
    return chunk?.[value] ?? 255;
  };
}

/**
 * The pixels of a PNG, upright.
 *
 * @param {Uint8Array} bytes of the file
 * @param {string} [transparency] what becomes of transparent parts: "white" or "dropped"
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} 8-bit RGB
 */
export async function decodePng(bytes, transparency = DROPPED) {
  const [packed, found] = [[], {}];
  for (const { type, data } of chunks(bytes)) {
    if (type === "IDAT") packed.push(data);
    else found[type] ??= data;
  }
  if (found.IHDR?.length !== 13) throw new ClientError("the PNG has no header");
  const header = readHeader(found.IHDR);
  if (header.colour === 3 && found.PLTE === undefined) throw new ClientError("the PNG has no palette");

  const whole = [0, 0, 1, 1];
  const parts = (header.interlaced ? ADAM7 : [whole])
    .map(([x, y, dx, dy]) => ({
      x, y, dx, dy, width: Math.ceil((header.width - x) / dx), height: Math.ceil((header.height - y) / dy),
    }))
    .filter((part) => part.width > 0 && part.height > 0)
    .map((part) => ({ ...part, rowBytes: Math.ceil((part.width * header.bits) / 8) }));
  const raw = await inflate(packed, parts.reduce((sum, part) => sum + part.height * (part.rowBytes + 1), 0));

  const data = new Uint8Array(header.width * header.height * 3);
  const read = pixelReader(header, found.PLTE, found.tRNS);
  const step = Math.max(1, header.bits >> 3);
  let at = 0;
  for (const part of parts) {
    let above = new Uint8Array(part.rowBytes);
    for (let y = 0; y < part.height; y++, at += part.rowBytes + 1) {
      const row = raw.subarray(at + 1, at + 1 + part.rowBytes);
      unfilter(raw[at], row, above, step);
      const line = (part.y + y * part.dy) * header.width;
      for (let x = 0; x < part.width; x++) {
        const to = (line + part.x + x * part.dx) * 3;
        const alpha = read(row, x, data, to);
        if (alpha === 255 || transparency !== WHITE) continue;
        for (let i = to; i < to + 3; i++) data[i] = onWhite(data[i], alpha);
      }
      above = row;
    }
  }
  const image = { width: header.width, height: header.height, data };
  return found.eXIf === undefined ? image : upright(image, orientationOf(found.eXIf));
}
