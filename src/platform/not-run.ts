/** Views that are registered, but never folded into states that could be served. */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName } from "../define/definition.ts";
import type { CatalogView } from "./view-catalog.ts";

/** Throws `FEATURE_NOT_ONLINE`. */
export function refuseNotRun({ definition }: CatalogView): void {
  const name = formatViewName(definition);
  if (!definition.online && !definition.offline) {
    throw new OnefoldError("FEATURE_NOT_ONLINE", `view ${name} is neither online nor offline`, {
      where: name,
      hint: "declare it with online: true under a new version to serve it",
    });
  }
}
