/**
 * In which format all that lies under a prefix on Redis is. The mark is a field of the hash of metas, so that it is where the
 * places of views are and is read and written together with them: whoever sees a place has seen the mark. Without one it is
 * the first format, or nothing is there.
 */
import { OnefoldError } from "../../base/errors.ts";
import { formatMarkText, parseFormatMark } from "../../base/format-mark.ts";
import { packageVersion } from "../../base/version.ts";

/** To be raised with any change after which a version from before would misread states, places or marks. */
export const STORE_FORMAT = 1;

/** Its field in the hash; no meta has this name. */
export const FORMAT_FIELD = "format";

export function storeFormatMark(): string {
  return formatMarkText(STORE_FORMAT);
}

/** Throws `STORE_FORMAT`. `key`: of the hash. */
export function refuseOtherStoreFormat(mark: Buffer | null, key: string): void {
  if (mark === null) return;
  let found;
  try {
    found = parseFormatMark(mark.toString());
  } catch (cause) {
    throw new OnefoldError("STORE_FORMAT", "the mark that says in which format the online store is cannot be read", {
      where: `field ${FORMAT_FIELD} of ${key}`,
      hint: "use another prefix in the store's address; nothing was read or written",
      cause,
    });
  }
  const { format, onefold } = found;
  if (format === STORE_FORMAT) return;
  throw new OnefoldError(
    "STORE_FORMAT",
    `the online store is of format ${format}, written by Onefold ${onefold}; this is Onefold ${packageVersion()}, which reads format ${STORE_FORMAT}`,
    {
      where: `field ${FORMAT_FIELD} of ${key}`,
      hint: `use Onefold ${onefold}, or another prefix in the store's address; nothing was read or written`,
    },
  );
}
