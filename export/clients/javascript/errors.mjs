/** What the user can mend: an unreadable image, an entry that is not one. Its message is one line to show. */
export class ClientError extends Error {}

const MAX_PIXELS = 89_478_485; // as in anas-zoo: Pillow's limit against files that unpack into all of memory

/** Raises {@link ClientError} for an image that is not worth its memory; called before that is taken. */
export function refuseTooLarge(width, height) {
  if (width * height > MAX_PIXELS) throw new ClientError(`the image is too large (${width} × ${height} pixels)`);
}
