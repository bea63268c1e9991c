/**
 * Removes from an online store what workers on Kafka folded of a view that was retired. They know of no registry: each folds what its
 * definitions file has, and would fold it again. So it is looked whether somebody does.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import { type StoredView, viewMetaName } from "../../ingest/stored-view.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import type { Registry } from "../../registry/registry.ts";
import { builtMetaName } from "../view-builder.ts";

export interface DropFoldedOptions {
  readonly registry: Pick<Registry, "retired">;
  /** `redis://...`, as in docs/redis.md. */
  readonly url: string;
  readonly password?: string;
  /**
   * How long servers are given to hear that there are no states, which they ask ten times a second, and workers to write what
   * they fold. Default 2000.
   */
  readonly waitMillis?: number;
}

/** Whether there was something. Throws `REQUEST_INVALID`, `STILL_READ`, and what the store throws. */
export async function dropFolded(view: string, options: DropFoldedOptions): Promise<boolean> {
  const { registry, url, password, waitMillis = 2000 } = options;
  const isRetired = registry.retired().some(({ definition }) => {
    return definition.kind === "view" && `${definition.name}@${definition.version}` === view;
  });
  if (!isRetired) {
    throw new OnefoldError("REQUEST_INVALID", `${view} is no view that was retired`, {
      hint: `first: onefold retire ${view}; then start the workers without it`,
    });
  }
  const store = await openRedisStore({ url, ...(password === undefined ? {} : { password }) });
  try {
    await store.ping();
    return await dropFrom(store, view, waitMillis);
  } finally {
    await store.close();
  }
}

async function dropFrom(store: OnlineStore, view: string, waitMillis: number): Promise<boolean> {
  const names = [viewMetaName(view), builtMetaName(view)];
  const space = `${view}#kafka`;
  const [place = null] = (await store.read([], names)).metas;
  if (place !== null) {
    const told = JSON.parse(Buffer.from(place).toString("utf8")) as StoredView;
    // What an owner publishes goes with the owner's.
    if (told.space !== space) return false;
    await store.commit(
      [],
      names.map((name) => ({ name, bytes: null })),
    );
    await sleep(waitMillis);
  }
  // Also what a drop that was cut short has left.
  const wasThere = place !== null || !(await isEmpty(store, space));
  if (!wasThere) return false;
  await store.dropSpace(space);
  await sleep(waitMillis);
  if (await isEmpty(store, space)) return true;
  throw new OnefoldError("STILL_READ", `workers fold ${view} still: its states come again`, {
    hint: "take it out of their definitions file, start them anew, and ask again",
  });
}

async function isEmpty(store: OnlineStore, space: string): Promise<boolean> {
  for await (const _ of store.scanStates(space)) return false;
  return true;
}
