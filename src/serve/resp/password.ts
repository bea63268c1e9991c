/** The door's password, compared in a time that does not tell how much of a guess is right. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { OnefoldError } from "../../base/errors.ts";
import type { Password } from "./command.ts";
import { encodeText } from "./byte-string.ts";

/**
 * Throws `REQUEST_INVALID` for an empty one, which is a secret that was not filled in. Compares digests under a key of this process,
 * which are of equal length and of no use to who could see one.
 */
export function createPassword(text: string): Password {
  if (text === "") {
    throw new OnefoldError("REQUEST_INVALID", "an empty password", {
      hint: "set a password, or leave it out altogether: then whoever connects may ask",
    });
  }
  const key = randomBytes(32);
  const digest = (bytes: string): Buffer => createHmac("sha256", key).update(bytes, "latin1").digest();
  const expected = digest(encodeText(text));
  return { matches: (bytes) => timingSafeEqual(digest(bytes), expected) };
}
