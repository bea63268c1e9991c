/**
 * A server past the owner's machine: it folds nothing and holds nothing of its own. States it fetches from an online
 * store such as Redis; what is registered and fitted it reads from the database that several servers share, or from the
 * `registry` folder of its data folder, which may be a copy or a mount of the owner's. A sample of what it serves goes to a
 * serving log in its data folder, for the audit; sketches of it and its usage beside that, in files of its own.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import { STATUS_NAMES } from "../../fold/view-fold.ts";
import { Metrics } from "../../monitor/metrics/metrics.ts";
import type { MetricValues } from "../../monitor/metrics/prometheus.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import { createFeatureReader } from "../../serve/feature-reader.ts";
import { type HttpOptions, type HttpServer, openHttpServer } from "../../serve/http.ts";
import { type CallRoute, createCaller } from "../../serve/in-process.ts";
import type { ServePorts } from "../../serve/ports.ts";
import type { RespOptions, RespServer } from "../../serve/resp/server.ts";
import { allRoutes } from "../../serve/routes.ts";
import { openServingLog, type ServingLog } from "../../serve/serving-log.ts";
import { experimentDesk } from "../experiments/experiment-desk.ts";
import { ShadowCounts } from "../experiments/shadow-counts.ts";
import { shadowSight } from "../experiments/shadow-sight.ts";
import { askedDriftDesk } from "../monitoring/asked-drift-desk.ts";
import { openOwnedDrift, type OwnedDrift } from "../monitoring/open-drift.ts";
import { UsageKeeper } from "../monitoring/usage-keeper.ts";
import { markFormat, refuseOtherFormat } from "../folder-format.ts";
import { refuseNotRun } from "../not-run.ts";
import { keptVectorsBytesDefault } from "../state-memory.ts";
import { RespDoors } from "../resp-doors.ts";
import { MAX_FUTURE_MICROS } from "../runtime-context.ts";
import { FetchedViews } from "./fetched-views.ts";
import { isKafkaDraft } from "./heard-places.ts";
import { openOnlineDrift } from "./online-drift.ts";
import { OnlineFreshness } from "./online-freshness.ts";
import { repeat } from "./repeat.ts";
import { WatchedRegistry } from "./watched-registry.ts";

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
  /** As of a platform, while Redis tells of changes. */
  readonly keptVectorsBytes?: number;
  /** Share of the served vectors that are looked at for drift, 0 to 1. Default 0.005. */
  readonly driftSampleRate?: number;
  /** Told of every error that is the server's own fault, and of the first of each run of failures to reach the store. */
  readonly onError?: (error: unknown, work: string) => void;
}

export interface OnlineServer {
  readonly clock: Clock;
  /** What it has counted and measured: what `GET /metrics` has, as data. */
  measured(): Promise<MetricValues>;
  /** Any HTTP route, without a network: the answer's body, or the error thrown. */
  readonly request: CallRoute;
  /** Throws `LISTEN_FAILED`. */
  serve(options?: HttpOptions): Promise<HttpServer>;
  /** Throws `LISTEN_FAILED`. */
  serveResp(options?: RespOptions): Promise<RespServer>;
  /** Resolves once the serving log, drift's windows, what was seen of shadows and the usage of the day are written. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

const SERVING_LOG_SAMPLE_RATE = 0.01;
const HEAR_MILLIS = 100;
/** States as Redis holds them, for as long as it says of no change. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
const JUDGE_MILLIS = 500;

/**
 * Opens it; resolves once the store answers. Throws `DATA_FOLDER_MISSING`, `REGISTRY_CORRUPT`, `STORE_UNAVAILABLE`,
 * `STORE_TIMEOUT`, `DATA_FOLDER_FORMAT`, `STORE_FORMAT`, `REQUEST_INVALID`.
 */
export async function openOnlineServer(options: OnlineServerOptions): Promise<OnlineServer> {
  const { dataDir, clock = systemClock, onError = () => {}, definitions = [], driftSampleRate } = options;
  const { online: url, onlinePassword: password, servingLogSampleRate: sampleRate = SERVING_LOG_SAMPLE_RATE } = options;
  const writer = randomUUID().slice(0, 8);
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  await refuseOtherFormat(dataDir);
  try {
    const hear = (): Promise<void> => views.places.hear(watched.views());
    const registry = options.registry === undefined ? {} : { url: options.registry };
    const watched = await WatchedRegistry.open({ dataDir, ...registry, clock, definitions, onError, onChanged: hear });
    closers.push(() => watched.close());
    const given = password === undefined ? {} : { password };
    const store = await openRedisStore({ url, ...given, keptBytesMax: KEPT_BYTES_MAX });
    closers.push(() => store.close());
    const views = new FetchedViews(store, clock);
    await store.ping();
    await hear();
    const servingLog = await openServingLog({ folder: join(dataDir, "serving-log"), sampleRate });
    closers.push(() => servingLog.close());
    await markFormat(dataDir);
    const drift = openOwnedDrift(dataDir, clock, driftSampleRate, writer);
    closers.push(() => drift.recorder.close());
    const shadows = new ShadowCounts({ dataDir, clock, writer, registry: watched.registry });
    closers.push(() => shadows.close());
    const hearing = hearAgain(hear, onError);
    closers.push(() => hearing.stop());
    watched.watch();
    const connectionsLost = (): number => store.connectionsLost;
    const tells = (): boolean | null => store.tracking?.isOn ?? null;
    const freshness = new OnlineFreshness({
      clock,
      registry: watched.registry,
      views: () => watched.views(),
      ears: views.places,
      stale: views.stale,
      onStale: () => views.moved(),
    });
    const judge = async (): Promise<void> => {
      // What cannot be heard grows old; that it cannot is told by who asks for places.
      await views.places.hearWorkers().catch(() => undefined);
      freshness.judgeNow();
    };
    await judge();
    const judging = repeat(JUDGE_MILLIS, judge);
    closers.push(() => judging.stop());
    const parts = { watched, views, freshness, servingLog, drift, shadows };
    const { keptVectorsBytes = keptVectorsBytesDefault() } = options;
    const house = {
      dataDir,
      clock,
      writer,
      ...parts,
      isAway: () => hearing.isFailing(),
      connectionsLost,
      tells,
      keptVectorsBytes,
    };
    return openDoors(house, onError, close);
  } catch (error) {
    await close();
    throw error;
  }
}

interface OnlineHouse {
  readonly keptVectorsBytes: number;
  readonly dataDir: string;
  readonly clock: Clock;
  /** Names the files of this process among those of others. */
  readonly writer: string;
  readonly watched: WatchedRegistry;
  readonly views: FetchedViews;
  readonly freshness: OnlineFreshness;
  readonly servingLog: ServingLog;
  readonly drift: OwnedDrift;
  readonly shadows: ShadowCounts;
  /** Whether the store did not answer when it was asked last. */
  isAway(): boolean;
  connectionsLost(): number;
  /** Whether the store tells of changes; null where it is not asked to. */
  tells(): boolean | null;
}

function hearAgain(
  hear: () => Promise<void>,
  onError: (error: unknown, work: string) => void,
): { isFailing(): boolean; stop(): Promise<void> } {
  let isFailing = false;
  const hearing = repeat(HEAR_MILLIS, async () => {
    try {
      await hear();
      isFailing = false;
    } catch (error) {
      if (!isFailing) onError(error, "asking the online store where states are");
      isFailing = true;
    }
  });
  return { isFailing: () => isFailing, stop: () => hearing.stop() };
}

function openDoors(
  house: OnlineHouse,
  onError: (error: unknown, work: string) => void,
  closeHouse: () => Promise<void>,
): OnlineServer {
  const doors = new RespDoors();
  const metrics = new Metrics({
    sources: () => [],
    freshness: () => house.freshness.measured(),
    storeBytes: async () => [],
    resp: () => doors.counts(),
    registryUp: () => house.watched.isUp,
    expectations: () => [],
    skew: () => [],
    workers: () => null,
    publishing: () => null,
    remoteStore: () => ({ up: !house.isAway(), connectionsLost: house.connectionsLost(), tells: house.tells() }),
    unreadFits: () => house.watched.unreadFits,
    onlineStoreBytes: async () => null,
    statusNames: STATUS_NAMES,
  });
  const { dataDir, clock, writer } = house;
  const usage = new UsageKeeper({ dataDir, writer, clock, counted: () => metrics.values(), sources: () => [] });
  const ports = portsOf(house, metrics);
  const reader = createFeatureReader(ports);
  return {
    clock,
    measured: () => metrics.values(),
    request: createCaller(allRoutes(reader, ports)),
    serve: (http = {}) => {
      metrics.start();
      return openHttpServer(reader, ports, { onError, ...http });
    },
    serveResp: (resp = {}) => {
      metrics.start();
      return doors.open(reader, ports, { onError, ...resp });
    },
    settle: async () => {
      const { servingLog, drift, shadows } = house;
      await Promise.all([servingLog.flush(), drift.recorder.flush(), shadows.flush(), usage.keepNow()]);
    },
    close: async () => {
      metrics.stop();
      await usage.close();
      await closeHouse();
    },
  };
}

function portsOf(
  { dataDir, clock, watched, views, freshness, servingLog, drift, shadows, isAway, keptVectorsBytes }: OnlineHouse,
  metrics: Metrics,
): ServePorts {
  return {
    clock,
    registry: watched.registry,
    fits: watched.fits,
    snapshot: views,
    fetch: (asks) => views.fetch(asks),
    fetchHere: (asks) => views.fetchHere(asks),
    keptVectorsBytesMax: keptVectorsBytes,
    maxFutureMicros: MAX_FUTURE_MICROS,
    revision: () => watched.revision,
    view: (name, version) => {
      const compiled = watched.catalog.view(name, version);
      refuseNotRun(compiled);
      return views.view(compiled);
    },
    push: () => Promise.reject(takesNoPushes(dataDir)),
    samples: ({ service, entities, views: read }, keys) =>
      servingLog.samples(service, entities, keys) && !read.some(({ view }) => view.definition.version === "dev"),
    record: (vector) => servingLog.record(vector),
    ...(drift.recorder.sight === undefined ? {} : { sight: drift.recorder.sight }),
    shadow: shadowSight((news) => shadows.took(news)),
    freshness: async () => freshness.report(),
    monitoring: {
      drift: askedDriftDesk(openOnlineDrift({ dataDir, clock }, watched, drift)),
      experiments: experimentDesk(watched, shadows, { step: () => Promise.reject(changesNothing(dataDir)) }),
    },
    metrics: () => metrics.page(),
    readiness: () => {
      // A draft on Kafka is folded where somebody wants to see it: nobody waits for it.
      const unstored = watched.views().filter((view) => !views.isStored(view) && !isKafkaDraft(view));
      const waitingFor = unstored.map(({ name }) => `view ${name}`);
      if (isAway()) waitingFor.unshift("the online store");
      const building = watched.views().filter((view) => views.isBuilding(view));
      return {
        ready: waitingFor.length === 0,
        waitingFor,
        building: building.map(({ name }) => `view ${name}`),
        refused: watched.code.refused,
        warnings: [...watched.warnings, ...watched.code.warnings],
      };
    },
  };
}

function changesNothing(dataDir: string): OnefoldError {
  return new OnefoldError(
    "STORAGE_LOCKED",
    "this server only follows what is registered, so it changes no experiment",
    {
      where: dataDir,
      hint: "ask the process that owns the data folder, or use onefold experiments with --registry",
    },
  );
}

function takesNoPushes(dataDir: string): OnefoldError {
  return new OnefoldError("STORAGE_LOCKED", "this server folds nothing and takes no events", {
    where: dataDir,
    hint: "push to the process that owns the data folder and publishes its states",
  });
}
