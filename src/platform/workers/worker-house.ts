/**
 * What a worker serves from: the registry's file, the fits and the online store, all read-only and without the
 * folder's lock, and code of its own. What only the owner can do it asks of the owner.
 */
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Definition } from "../../define/definition.ts";
import { STATUS_NAMES } from "../../fold/view-fold.ts";
import { windowToJson } from "../../monitor/drift/drift-window.ts";
import { jsonData } from "../../ingest/json-data.ts";
import { Metrics } from "../../monitor/metrics/metrics.ts";
import { openLmdbStore } from "../../online-store/lmdb.ts";
import { openFileRegistry } from "../../registry/file-registry.ts";
import { openFitStore } from "../../registry/fit-files.ts";
import type { Registry } from "../../registry/registry.ts";
import { createFeatureReader, type FeatureReader } from "../../serve/feature-reader.ts";
import { openHttpServer } from "../../serve/http.ts";
import type { ServePorts } from "../../serve/ports.ts";
import { openServingLog } from "../../serve/serving-log.ts";
import { ShadowRelay, shadowSight } from "../experiments/shadow-sight.ts";
import { DriftRecorder } from "../monitoring/drift-recorder.ts";
import { refuseNotRun } from "../not-run.ts";
import { CodeCheck } from "../code-check.ts";
import { RespDoors } from "../resp-doors.ts";
import { MAX_FUTURE_MICROS } from "../runtime-context.ts";
import { ViewCatalog } from "../view-catalog.ts";
import { type AskLink, faultsToWire } from "./ask-link.ts";
import { askedMonitoring } from "./asked-monitoring.ts";
import { askedTraining } from "./asked-training.ts";
import type { HouseStatus, WorkerSettings } from "./messages.ts";
import { StoredViews } from "./stored-views.ts";

/** Without word from the owner for so long, a worker no longer says that it is ready. */
const SILENCE_MILLIS_MAX = 5000;

export interface WorkerOptions {
  /**
   * Code for views with functions of their own, or where to get it: that is asked again whenever the registry has
   * changed. Views without functions need none.
   */
  readonly definitions?: readonly Definition[] | (() => Promise<readonly Definition[]>);
  readonly clock?: Clock;
  /** Told of every error that is the server's own fault. */
  readonly onError?: (error: unknown, request: string) => void;
}

export interface WorkerHouse {
  readonly reader: FeatureReader;
  readonly ports: ServePorts;
  readonly metrics: Metrics;
  told(status: HouseStatus): void;
  /** Reads registry, fits and code anew; where code cannot be had, goes on with what there is. Throws `REGISTRY_CORRUPT`. */
  reload(): Promise<void>;
  /** Opens the doors. Throws `LISTEN_FAILED`. */
  open(): Promise<void>;
  flushServingLog(): Promise<void>;
  /** Tells the owner what it saw of the vectors that it served. */
  flushDrift(): Promise<void>;
  /** Closes the doors in good order, and then the rest. */
  close(): Promise<void>;
}

export async function openWorkerHouse(
  settings: WorkerSettings,
  options: WorkerOptions & { readonly clock: Clock },
  owner: AskLink,
): Promise<WorkerHouse> {
  const { clock, onError = () => {} } = options;
  const { dataDir, registryFolder } = settings;
  const code = async (): Promise<readonly Definition[]> => {
    const { definitions = [] } = options;
    return typeof definitions === "function" ? definitions() : definitions;
  };
  const registry = await openFileRegistry(registryFolder, { clock });
  let loaded = await code();
  registry.attachCode(loaded);
  const fits = await openFitStore(registryFolder);
  const catalog = new ViewCatalog(registry);
  const store = openLmdbStore({ folder: join(dataDir, "online"), readOnly: true });
  const views = new StoredViews(store);
  const { servingLogSampleRate: sampleRate } = settings;
  const servingLog = await openServingLog({ folder: join(dataDir, "serving-log"), sampleRate });
  const recorder = new DriftRecorder({
    rate: settings.driftSampleRate ?? 0,
    keep: async (windows) => void (await owner.ask("driftWindows", windows.map(windowToJson))),
  });
  const asked = askedMonitoring(owner, settings.monitors);
  const shadows = new ShadowRelay(async (news) => asked.experiments?.took(news));
  const doors = new RespDoors();
  const metrics = new Metrics({
    sources: () => [],
    freshness: () => null,
    storeBytes: async () => [],
    resp: () => doors.counts(),
    workers: () => null,
    unreadFits: () => 0,
    publishing: () => null,
    remoteStore: () => null,
    registryUp: () => null,
    expectations: () => [],
    skew: () => [],
    onlineStoreBytes: async () => null,
    statusNames: STATUS_NAMES,
  });
  metrics.start();
  let revision = 0;
  const check = new CodeCheck(registry, { revision: () => revision, mayLack: "always" });
  let status: HouseStatus | null = null;
  let statusMs = 0;
  const ports: ServePorts = {
    clock,
    registry,
    fits,
    snapshot: views,
    maxFutureMicros: MAX_FUTURE_MICROS,
    revision: () => revision,
    view: (name, version) => {
      const compiled = catalog.view(name, version);
      refuseNotRun(compiled);
      return views.view(compiled);
    },
    push: (source, rows, faults) =>
      cutWhereTooDeep(rows, (sent) => owner.ask("push", { source, rows: sent, faults: faultsToWire(faults) })),
    correct: (source, corrections) =>
      cutWhereTooDeep(corrections, (sent) => owner.ask("correct", { source, corrections: sent })),
    samples: ({ service, entities, views: read }, keys) =>
      servingLog.samples(service, entities, keys) && !read.some(({ view }) => view.definition.version === "dev"),
    record: (vector) => servingLog.record(vector),
    ...(recorder.sight === undefined ? {} : { sight: recorder.sight }),
    ...(settings.trains ? { training: askedTraining(owner) } : {}),
    monitoring: asked,
    shadow: shadowSight((news) => shadows.took(news)),
    metrics: () => owner.ask("metricsPage", null),
    freshness: (asked) => owner.ask("freshness", asked),
    readiness: () => {
      if (status === null || performance.now() - statusMs > SILENCE_MILLIS_MAX) {
        return { ready: false, waitingFor: ["word from the owner"] };
      }
      const { building = [] } = status;
      const refused = [...new Set([...(status.refused ?? []), ...check.refused])];
      const warnings = [...new Set([...(status.warnings ?? []), ...check.warnings])].filter(
        (text) => !refused.some((reason) => text.startsWith(reason)),
      );
      const missing = unstored(catalog, registry, views).filter((view) => !building.includes(view));
      const waitingFor = [...status.waitingFor, ...missing];
      return {
        ready: waitingFor.length === 0,
        waitingFor,
        ...(building.length === 0 ? {} : { building }),
        ...(refused.length === 0 ? {} : { refused }),
        ...(warnings.length === 0 ? {} : { warnings }),
      };
    },
  };
  const reader = createFeatureReader(ports);
  const opened: { close(): Promise<void> }[] = [];
  return {
    reader,
    ports,
    metrics,
    told: (told) => {
      status = told;
      statusMs = performance.now();
      views.told(told);
    },
    reload: async () => {
      try {
        loaded = await code();
      } catch (error) {
        // What was loaded before goes on being served; what is registered otherwise now is refused, view by view.
        onError(error, "loading the definitions again");
      }
      await registry.reload(loaded);
      await fits.takeUp();
      revision += 1;
    },
    open: async () => {
      opened.push(await openHttpServer(reader, ports, { ...settings.http, onError }));
      if (settings.resp !== null) opened.push(await doors.open(reader, ports, { ...settings.resp, onError }));
    },
    flushServingLog: () => servingLog.flush(),
    flushDrift: () => recorder.flush(),
    close: async () => {
      await Promise.all(opened.map((door) => door.close()));
      metrics.stop();
      await recorder.close();
      await shadows.close();
      await servingLog.close();
      await store.close();
    },
  };
}

/** What is nested too deep to be sent, no source takes: it is sent as far as a dead letter keeps it, to be refused there. */
async function cutWhereTooDeep<T, A>(given: readonly T[], send: (sent: readonly T[]) => Promise<A>): Promise<A> {
  try {
    return await send(given);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return send(jsonData(given) as readonly T[]);
  }
}

/** Views that the owner may have built, but not written to the online store yet. */
function unstored(catalog: ViewCatalog, registry: Registry, views: StoredViews): string[] {
  const computable = registry.sources().flatMap(({ definition }) => catalog.computableOn(definition.name));
  return computable.filter((view) => !views.isStored(view)).map(({ name }) => `view ${name}`);
}
