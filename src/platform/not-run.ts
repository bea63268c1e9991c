/** Views that are registered, but never folded into states that could be served. */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName } from "../define/definition.ts";
import type { CatalogView } from "./view-catalog.ts";

/** Throws `VIEW_NOT_RUN` and `FEATURE_NOT_ONLINE`. */
export function refuseNotRun({ definition, source }: CatalogView): void {
  const name = formatViewName(definition);
  if (source.kind === "batch") {
    throw new OnefoldError(
      "VIEW_NOT_RUN",
      `view ${name} is on the batch source ${source.name}, which is not read yet`,
      {
        where: name,
        hint: "leave its features out, or fold the view from a stream",
      },
    );
  }
  if (!definition.online && !definition.offline) {
    throw new OnefoldError("FEATURE_NOT_ONLINE", `view ${name} is neither online nor offline`, {
      where: name,
      hint: "declare it with online: true under a new version to serve it",
    });
  }
}
