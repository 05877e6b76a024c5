// What becomes of transparent parts of an image: as the entry's config.json states it.

export const DROPPED = "dropped"; // what lies under them shows; so in entries that do not say
export const WHITE = "white"; // they are laid on white
export const TRANSPARENCIES = [DROPPED, WHITE];

/** A level from 0 to 255 of opacity `alpha` on white, rounded as Pillow's paste does. */
export function onWhite(level, alpha) {
  const sum = 255 * (255 - alpha) + level * alpha + 128;
  return (sum + (sum >> 8)) >> 8;
}

/** 8-bit RGB of RGBA pixels. */
export function opaque({ width, height, data: rgba }, transparency) {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const alpha = transparency === WHITE ? rgba[from + 3] : 255;
    for (let i = 0; i < 3; i++) data[to + i] = onWhite(rgba[from + i], alpha);
  }
  return { width, height, data };
}
