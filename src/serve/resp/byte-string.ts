/**
 * Byte strings: strings whose characters are bytes (code points 0 to 255), as the wire carries them. The
 * engine reads and joins them faster than buffers, and they hold binary data as it is.
 */
import { isUtf8 } from "node:buffer";
import { OnefoldError } from "../../base/errors.ts";

// eslint-disable-next-line no-control-regex -- these are the very characters that UTF-8 leaves as they are
const BEYOND_ASCII = /[^\x00-\x7f]/;

/** The UTF-8 text that the bytes are. Throws `REQUEST_INVALID` where they are none; `where` says which argument it is. */
export function decodeText(bytes: string, where: string): string {
  if (!BEYOND_ASCII.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, "latin1");
  if (isUtf8(buffer)) return buffer.toString("utf8");
  throw new OnefoldError("REQUEST_INVALID", `${where} is not UTF-8 text`, { where });
}

/** The bytes of a text in UTF-8. */
export function encodeText(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}
