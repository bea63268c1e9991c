/** What `forgetEntity` would remove from a data folder, and where; refused where that would be. Changes nothing. */
import { join } from "node:path";
import type { RuntimeContext } from "../runtime-context.ts";
import { keyToForget, sourcesOfEntity } from "./forget-entity.ts";
import { type ForgetPlace, type ForgetPreview, somewhere } from "./forget-places.ts";
import { servedPlace } from "./forget-served.ts";
import type { SharingEntities } from "./forget-shared.ts";
import { monitoredPlaces } from "./monitored-places.ts";
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
  const { dataDir, registry } = context;
  places.push(await servedPlace(join(dataDir, "serving-log"), { entity, key, sharing }));
  places.push(...(await monitoredPlaces(dataDir, registry, entity, ["quality", "skew", "shadow", "alerts"])));
  return { entity, key, sources: names, places: somewhere(places) };
}
