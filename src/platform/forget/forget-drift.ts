/**
 * Sketches of values that an entity may have part in, removed: they hold values as they were, though not whose, and none
 * can be taken out of a sum. Of services that have nothing to do with the entity they stay.
 */
import type { KeptWindows } from "../../monitor/drift/joined-windows.ts";
import type { WindowFolder } from "../../monitor/drift/window-folder.ts";
import type { Registry } from "../../registry/registry.ts";

interface Windows {
  readonly windows: WindowFolder;
  readonly folded: KeptWindows;
}

export async function forgetDrift({ windows, folded }: Windows, registry: Registry, entity: string): Promise<void> {
  const { services, views } = await driftOf({ windows, folded }, registry, entity);
  for (const service of services) await windows.forget(service);
  for (const view of views) await folded.forget(view);
}

/** What it may have part in: services of which served values are kept, and views of which folded ones are. */
export async function driftOf(
  { windows, folded }: Windows,
  registry: Registry,
  entity: string,
): Promise<{ readonly services: readonly string[]; readonly views: readonly string[] }> {
  const reached = reachedFrom(registry, `entity:${entity}`);
  const isOfEntity = (view: string): boolean =>
    view.split(/,\s*/).some((name) => reached.has(`view:${name}`) || reached.has(`on-demand:${name}`));
  const services: string[] = [];
  for (const service of await windows.services()) {
    // What a service was made of before it was defined anew its windows say.
    const touches = reached.has(`service:${service}`) || (await windows.views(service)).some(isOfEntity);
    if (touches) services.push(service);
  }
  return { services, views: (await folded.services()).filter(isOfEntity) };
}

/** All that is computed from it, over however many steps. */
function reachedFrom(registry: Registry, start: string): ReadonlySet<string> {
  const edges = registry.lineage();
  const reached = new Set([start]);
  for (const name of reached) {
    for (const { from, to } of edges) if (from === name) reached.add(to);
  }
  return reached;
}
