/** What `forgetEntity` would remove from a data folder, and where; refused where that would be. Changes nothing. */
import { join } from "node:path";
import { alertFolder } from "../../monitor/alerts/alert-store.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { driftOf } from "./forget-drift.ts";
import { keyToForget, sourcesOfEntity } from "./forget-entity.ts";
import { filesIn, type ForgetPlace, type ForgetPreview, somewhere } from "./forget-places.ts";
import { countServed } from "./forget-served.ts";
import type { SharingEntities } from "./forget-shared.ts";
import type { PreviewInSource, PreviewOfSource } from "./preview-source.ts";

export interface ForgetPreviewOptions {
  /** As `forget` has it. */
  readonly shared?: boolean;
  readonly exceptKafka?: boolean;
  /** False: only says whether it would be refused. Default true. */
  readonly places?: boolean;
}

export type PreviewOf = Pick<PreviewInSource, "views" | "all" | "key">;

/** Throws as `forgetOwned`. */
export async function previewOwned(
  context: RuntimeContext,
  sources: { get(source: string): { previewForgetting(asked: PreviewOf): Promise<PreviewOfSource> } },
  { entity, parts, ...options }: ForgetPreviewOptions & { readonly entity: string; readonly parts: readonly unknown[] },
): Promise<ForgetPreview> {
  const { shared = false, exceptKafka = false, places: isCounted = true } = options;
  const key = keyToForget(context, entity, parts);
  const found = sourcesOfEntity(context, entity, shared, exceptKafka);
  const names = found.map(({ source }) => source.name);
  if (!isCounted) return { entity, key, sources: names, places: [] };
  const places: ForgetPlace[] = [];
  const sharing: Record<string, readonly SharingEntities[]> = {};
  for (const { source, views, all } of found) {
    const ofSource = await sources.get(source.name).previewForgetting({ views, all, key });
    places.push(...ofSource.places);
    sharing[source.name] = ofSource.sharing;
  }
  const served = await countServed(join(context.dataDir, "serving-log"), { entity, key, sharing });
  places.push({ where: "serving-log", what: "served vectors", ...served }, ...(await monitoredAt(context, entity)));
  return { entity, key, sources: names, places: somewhere(places) };
}

/** Whatever may name it or have its values. */
async function monitoredAt({ dataDir, registry }: RuntimeContext, entity: string): Promise<readonly ForgetPlace[]> {
  const folders = { quality: "profiles", skew: "results of the audit", shadow: "records of shadows" };
  const places: ForgetPlace[] = [];
  for (const [name, what] of Object.entries(folders)) {
    places.push({ where: `monitor/${name}`, what, ...(await filesIn(join(dataDir, "monitor", name))) });
  }
  const drift = await driftOf({ windows: new WindowFolder(dataDir), folded: foldedWindows(dataDir) }, registry, entity);
  for (const [name, of] of [["drift", drift.services] as const, ["drift-folded", drift.views] as const]) {
    for (const one of of) {
      const where = `monitor/${name}/${one}`;
      places.push({ where, what: "sketches of values", ...(await filesIn(join(dataDir, where))) });
    }
  }
  const { count } = await filesIn(alertFolder(dataDir));
  const details = { where: "monitor/alerts", what: "details of alerts", count: null, bytes: null };
  return count === 0 ? places : [...places, details];
}
