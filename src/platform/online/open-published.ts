/** Opens the online store of a data folder's owner: LMDB, and a publisher beside it where a Redis is named. */
import { join } from "node:path";
import { formatViewName } from "../../define/definition.ts";
import { openLmdbStore } from "../../online-store/lmdb.ts";
import type { PublishGauges } from "../../monitor/metrics/remote-store-metrics.ts";
import type { SharedOnlineStore } from "../../online-store/online-store.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import type { PlatformOptions } from "../platform-options.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { RuntimeFreshness } from "../monitoring/runtime-freshness.ts";
import type { Published } from "./published.ts";
import { PublishedStore } from "./published-store.ts";
import { Publisher } from "./publisher.ts";

export interface OwnedStore {
  readonly online: SharedOnlineStore;
  /** To be called once the sources are open. */
  startPublishing(sources: PublishedHouse): void;
  /** How publishing goes; null where nothing is published. */
  publishing(): PublishGauges | null;
  /** To be called last, when nothing is flushed any more. */
  close(): Promise<void>;
}

interface PublishedHouse {
  flushedViews(): Published["flushed"];
  freshness(): ReadonlyMap<string, RuntimeFreshness>;
}

/** States are kept on Redis for this long beyond the time from which they read as if they were not there. */
const KEPT_MARGIN_MILLIS = 86_400_000;

/** Throws `STORAGE_FAILED`, `REQUEST_INVALID`. A Redis that does not answer is waited for, while all else goes on. */
export async function openOwnedStore(options: PlatformOptions, context: RuntimeContext): Promise<OwnedStore> {
  const { publish: url, publishPassword: password, onPublishError: onError = () => {} } = options;
  const local = openLmdbStore({ folder: join(context.dataDir, "online") });
  if (url === undefined) {
    return { online: local, startPublishing: () => {}, publishing: () => null, close: () => local.close() };
  }
  try {
    const target = await openRedisStore({ url, ...(password === undefined ? {} : { password }) });
    const keptMs = (view: string): number | undefined => keptMillis(context, view);
    const retired = (): string[] =>
      context.registry.retired().flatMap(({ definition: one }) => (one.kind === "view" ? [formatViewName(one)] : []));
    const publisher = new Publisher({ local, target, clock: context.clock, keptMs, retired, onError });
    return {
      online: new PublishedStore(local, publisher),
      startPublishing: (sources) => publisher.start(() => publishedHouse(sources)),
      publishing: () => publisher.gauges(),
      close: async () => {
        await publisher.close();
        await local.close();
      },
    };
  } catch (error) {
    await local.close();
    throw error;
  }
}

function publishedHouse(sources: PublishedHouse): Omit<Published, "at"> {
  const told = Array.from(sources.freshness(), ([name, { lastEventAt, oldestUnfoldedAt }]) => {
    return { name, lastEventAt, oldestUnfoldedAt };
  });
  return { flushed: sources.flushedViews(), sources: told };
}

function keptMillis({ catalog }: RuntimeContext, view: string): number | undefined {
  const at = view.lastIndexOf("@");
  const version = view.slice(at + 1);
  try {
    const { fold } = catalog.view(view.slice(0, at), version === "dev" ? "dev" : Number(version));
    const { emptiesAfterMicros } = fold;
    return Number.isFinite(emptiesAfterMicros) ? emptiesAfterMicros / 1000 + KEPT_MARGIN_MILLIS : undefined;
  } catch {
    // Of a view that this process has no code for, or that is not registered any more, nothing is known.
    return undefined;
  }
}
