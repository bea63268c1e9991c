/**
 * A server past the owner's machine: it folds nothing and holds nothing of its own. States it fetches from an online
 * store such as Redis; what is registered and fitted from the database that several servers share, or from the `registry`
 * folder of its data folder, which may be a copy or a mount of the owner's. When that has changed it is read anew. A sample of what it serves goes to
 * a serving log in its data folder, for the audit.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import { STATUS_NAMES } from "../../fold/view-fold.ts";
import { Metrics } from "../../monitor/metrics.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import { createFeatureReader, type FeatureReader } from "../../serve/feature-reader.ts";
import { type HttpOptions, type HttpServer, openHttpServer } from "../../serve/http.ts";
import { type CallRoute, createCaller } from "../../serve/in-process.ts";
import type { ServePorts } from "../../serve/ports.ts";
import type { RespOptions, RespServer } from "../../serve/resp/server.ts";
import { allRoutes } from "../../serve/routes.ts";
import { openServingLog } from "../../serve/serving-log.ts";
import { refuseMissing } from "../data-folder.ts";
import { FitWatch } from "../fit-watch.ts";
import { refuseNotRun } from "../not-run.ts";
import { openRegistry } from "../open-registry.ts";
import { RegistryFollower, troubleText } from "../registry-follower.ts";
import { RespDoors } from "../resp-doors.ts";
import { MAX_FUTURE_MICROS } from "../runtime-context.ts";
import { type CatalogView, ViewCatalog } from "../view-catalog.ts";
import { FetchedViews } from "./fetched-views.ts";

export interface OnlineServerOptions {
  /** Its `registry` folder is read, where the registry is not shared; a serving log is written there. */
  readonly dataDir: string;
  /** URL of the PostgreSQL that several servers have their registry in (docs/registry.md); without, the data folder's. */
  readonly registry?: string;
  /** The online store: `redis://...` (docs/redis.md). */
  readonly online: string;
  /** Of the online store, where its address has none. */
  readonly onlinePassword?: string;
  /** Code for views with functions of their own, or where to get it: that is asked again when the registry has changed. */
  readonly definitions?: readonly Definition[] | (() => Promise<readonly Definition[]>);
  readonly clock?: Clock;
  /** Share of the entities whose served vectors are kept for the audit, 0 to 1. Default 0.01. */
  readonly servingLogSampleRate?: number;
  /** Told of every error that is the server's own fault, and of the first of each run of failures to reach the store. */
  readonly onError?: (error: unknown, work: string) => void;
}

export interface OnlineServer {
  /** Any HTTP route, without a network: the answer's body, or the error thrown. */
  readonly request: CallRoute;
  /** Throws `LISTEN_FAILED`. */
  serve(options?: HttpOptions): Promise<HttpServer>;
  /** Throws `LISTEN_FAILED`. */
  serveResp(options?: RespOptions): Promise<RespServer>;
  /** Resolves once the serving log is written. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

const SERVING_LOG_SAMPLE_RATE = 0.01;
const HEAR_MILLIS = 100;
const REGISTRY_MILLIS = 1000;

/**
 * Opens it; resolves once the store answers. Throws `DATA_FOLDER_MISSING`, `REGISTRY_CORRUPT`, `STORE_UNAVAILABLE`,
 * `STORE_TIMEOUT`, `REQUEST_INVALID`.
 */
export async function openOnlineServer(options: OnlineServerOptions): Promise<OnlineServer> {
  const { dataDir, clock = systemClock, onError = () => {} } = options;
  if (options.registry === undefined) refuseMissing(dataDir);
  const code = async (): Promise<readonly Definition[]> => {
    const { definitions = [] } = options;
    return typeof definitions === "function" ? definitions() : definitions;
  };
  const { registry, fits, folder, isShared } = await openRegistry(dataDir, options.registry, { clock, reader: true });
  registry.attachCode(await code());
  const catalog = new ViewCatalog(registry);
  const served = (): CatalogView[] => {
    const streams = registry.sources().filter(({ definition }) => definition.kind === "stream");
    return streams.flatMap(({ definition }) => catalog.computableOn(definition.name));
  };

  const { online: url, onlinePassword: password } = options;
  const store = await openRedisStore({ url, ...(password === undefined ? {} : { password }) });
  const views = new FetchedViews(store);
  try {
    await views.hear(served());
  } catch (error) {
    await store.close();
    throw error;
  }
  let isFailing = false;
  const hearing = repeat(HEAR_MILLIS, async () => {
    try {
      await views.hear(served());
      isFailing = false;
    } catch (error) {
      if (!isFailing) onError(error, "asking the online store where states are");
      isFailing = true;
    }
  });

  let revision = 0;
  const takeUp = async (): Promise<void> => {
    await registry.reload(await code());
    await views.hear(served());
    revision += 1;
  };
  // What was read before goes on being served; what is registered otherwise now is refused, view by view.
  const onTrouble = (error: unknown): void => onError(error, "reading the registry anew");
  const follower = isShared
    ? new RegistryFollower(registry, {
        isBehind: () => registry.isBehind(),
        takeUp,
        onTrouble: (trouble) => (trouble === null ? undefined : onTrouble(trouble)),
      })
    : null;
  const watching = isShared ? null : await watchFile(folder, takeUp, onTrouble);

  const fitWatch = new FitWatch(fits, () => (revision += 1));
  const { servingLogSampleRate: sampleRate = SERVING_LOG_SAMPLE_RATE } = options;
  const servingLog = await openServingLog({ folder: join(dataDir, "serving-log"), sampleRate });
  const doors = new RespDoors();
  const metrics = new Metrics({
    sources: () => [],
    resp: () => doors.counts(),
    registryUp: () => (follower === null ? null : follower.trouble === null),
    workers: () => null,
    unreadFits: () => fitWatch.unread.length,
    onlineStoreBytes: async () => null,
    statusNames: STATUS_NAMES,
  });
  const ports: ServePorts = {
    clock,
    registry,
    fits,
    snapshot: views,
    fetch: (asks) => views.fetch(asks),
    maxFutureMicros: MAX_FUTURE_MICROS,
    revision: () => revision,
    view: (name, version) => {
      const compiled = catalog.view(name, version);
      refuseNotRun(compiled);
      return views.view(compiled);
    },
    push: () => Promise.reject(takesNoPushes(dataDir)),
    samples: ({ service, entities, views: read }, keys) =>
      servingLog.samples(service, entities, keys) && !read.some(({ view }) => view.definition.version === "dev"),
    record: (vector) => servingLog.record(vector),
    metrics: () => metrics.page(),
    readiness: () => {
      const waitingFor = served()
        .filter((view) => !views.isStored(view))
        .map(({ name }) => `view ${name}`);
      if (isFailing) waitingFor.unshift("the online store");
      return { ready: waitingFor.length === 0, waitingFor, warnings: troubleText(follower?.trouble ?? null) };
    },
  };
  const reader: FeatureReader = createFeatureReader(ports);
  return {
    request: createCaller(allRoutes(reader, ports)),
    serve: (http = {}) => {
      metrics.start();
      return openHttpServer(reader, ports, { onError, ...http });
    },
    serveResp: (resp = {}) => {
      metrics.start();
      return doors.open(reader, ports, { onError, ...resp });
    },
    settle: () => servingLog.flush(),
    close: async () => {
      metrics.stop();
      await Promise.all([hearing.stop(), watching?.stop(), follower?.close(), fitWatch.close()]);
      await servingLog.close();
      await store.close();
      await registry.close();
    },
  };
}

/** Again so many milliseconds after it was done. */
function repeat(millis: number, work: () => Promise<void>): { stop(): Promise<void> } {
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(() => {
      running = work().finally(() => {
        if (!isStopped) next();
      });
    }, millis).unref();
  };
  next();
  return {
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Calls `takeUp` when the folder's own registry has changed. */
async function watchFile(
  folder: string,
  takeUp: () => Promise<void>,
  onTrouble: (error: unknown) => void,
): Promise<{ stop(): Promise<void> }> {
  let known = await stampOf(folder);
  return repeat(REGISTRY_MILLIS, async () => {
    try {
      const stamp = await stampOf(folder);
      if (stamp === known) return;
      await takeUp();
      known = stamp;
    } catch (error) {
      onTrouble(error);
    }
  });
}

async function stampOf(registryFolder: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(join(registryFolder, "registry.json"));
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return "none";
  }
}

function takesNoPushes(dataDir: string): OnefoldError {
  return new OnefoldError("STORAGE_LOCKED", "this server folds nothing and takes no events", {
    where: dataDir,
    hint: "push to the process that owns the data folder and publishes its states",
  });
}
