/** What monitoring keeps in a folder that may name an entity or have its values: told before any of it is removed. */
import { join } from "node:path";
import { alertFolder } from "../../monitor/alerts/alert-store.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import type { Registry } from "../../registry/registry.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import { driftOf } from "./forget-drift.ts";
import { filesIn, type ForgetPlace } from "./forget-places.ts";

/** Removed whole, as nobody knows which of it is whose; what can be is made again of what is left. */
const WHOLE_PARTS = { quality: "profiles", skew: "results of the audit", shadow: "records of shadows" } as const;

/** `parts`: what is removed of `folder`, a data folder or that of workers' tables, beside sketches of values. */
export async function monitoredPlaces(
  folder: string,
  registry: Registry,
  entity: string,
  parts: readonly (keyof typeof WHOLE_PARTS | "alerts")[],
): Promise<readonly ForgetPlace[]> {
  const drift = await driftOf({ windows: new WindowFolder(folder), folded: foldedWindows(folder) }, registry, entity);
  const folders = [
    ...parts.flatMap((part) => (part === "alerts" ? [] : [[part, WHOLE_PARTS[part]] as const])),
    ...drift.services.map((service) => [`drift/${service}`, "sketches of values"] as const),
    ...drift.views.map((view) => [`drift-folded/${view}`, "sketches of values"] as const),
  ];
  const places: ForgetPlace[] = [];
  for (const [name, what] of folders) {
    places.push({ where: `monitor/${name}`, what, ...(await filesIn(join(folder, "monitor", name))) });
  }
  if (!parts.includes("alerts")) return places;
  const { count } = await filesIn(alertFolder(folder));
  const details = { where: "monitor/alerts", what: "details of alerts", count: null, bytes: null };
  return count === 0 ? places : [...places, details];
}
