/** What is said of a name that nothing has, with the nearest ones. */
import { nearestNames } from "../base/nearest-names.ts";

export function unknownName(what: string, name: string, names: readonly string[]): string {
  const near = nearestNames(name, names);
  return `there is no ${what} "${name}"${near.length === 0 ? "" : `; did you mean ${near.map((one) => `"${one}"`).join(" or ")}?`}`;
}
