/** What the user can mend: an unreadable image, an entry that is not one. Its message is one line to show. */
export class ClientError extends Error {}
