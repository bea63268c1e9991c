/**
 * A platform as serving sees it: the real registry and the real fold, with states in memory and a door that
 * folds rows at once.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import type {
  Definition,
  EntityDefinition,
  FeatureDefinition,
  ServiceDefinition,
  StreamDefinition,
  ViewDefinition,
} from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { STATUS_NAMES, type ViewState } from "../../src/fold/view-fold.ts";
import { ChangeCounts } from "../../src/online-store/change-counts.ts";
import { Metrics } from "../../src/monitor/metrics/metrics.ts";
import { openFitStore } from "../../src/registry/fit-files.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import type { ServedVector } from "../../src/schema/served-vector.ts";
import { checkValue } from "../../src/schema/check-value.ts";
import type { ServedView, ServePorts } from "../../src/serve/ports.ts";

export const START = parseMicros("2001-06-01T12:00:00Z");
export const MINUTE = 60_000_000;
export const HOUR = 60 * MINUTE;

const text = { name: "string" } as const;
const int64 = { name: "int64" } as const;
const float64 = { name: "float64" } as const;

export const airport: EntityDefinition = { kind: "entity", name: "airport", keys: [{ name: "airport", type: text }] };
export const route: EntityDefinition = {
  kind: "entity",
  name: "route",
  description: "a pair of airports",
  tags: ["flights"],
  keys: [
    { name: "origin", type: text },
    { name: "destination", type: text },
  ],
};
export const account: EntityDefinition = {
  kind: "entity",
  name: "account",
  keys: [{ name: "account", type: { name: "int64", wide: true } }],
};

export const arrivals: StreamDefinition = {
  kind: "stream",
  name: "arrivals",
  columns: [
    { name: "origin", type: text, nullable: false },
    { name: "destination", type: text, nullable: false },
    { name: "account", type: { name: "int64", wide: true }, nullable: false },
    { name: "arrived_at", type: { name: "timestamp" }, nullable: false },
    { name: "delay", type: int64, nullable: true },
  ],
  derived: [],
  constraints: [],
  eventTime: "arrived_at",
  allowNonFinite: false,
  maxFutureMicros: MINUTE,
  dedupeWithinMicros: 24 * HOUR,
  availableAfterMicros: 0,
};

function view(name: string, entity: string, key: string[], features: FeatureDefinition[], version = 1): ViewDefinition {
  return {
    kind: "view",
    name,
    version,
    entity,
    source: "arrivals",
    key,
    features,
    online: true,
    offline: true,
    freshness: "real-time",
    exactEvents: 128,
    owner: "ops",
    tags: ["flights"],
  };
}

const hour = { kind: "time", micros: HOUR } as const;
const arrivals1h: FeatureDefinition = { name: "arrivals_1h", type: int64, aggregation: { fn: "count", over: hour } };
const meanDelay1h: FeatureDefinition = {
  name: "mean_delay_1h",
  type: float64,
  aggregation: { fn: "mean", column: "delay", over: hour },
};
const lastDelay: FeatureDefinition = {
  name: "last_delay",
  type: int64,
  aggregation: { fn: "last", column: "delay" },
  ttlMicros: 2 * HOUR,
};
const lastArrival: FeatureDefinition = {
  name: "last_arrival",
  type: { name: "timestamp" },
  aggregation: { fn: "last", column: "arrived_at" },
};
const meanOrZero: FeatureDefinition = { ...meanDelay1h, name: "mean_or_zero", default: 0 };

export const definitions: readonly Definition[] = [
  airport,
  route,
  account,
  arrivals,
  view("origin_delays", "airport", ["origin"], [arrivals1h, meanDelay1h]),
  view("origin_delays", "airport", ["origin"], [arrivals1h, meanDelay1h, lastDelay, meanOrZero], 2),
  view("destination_delays", "airport", ["destination"], [{ ...arrivals1h }, lastArrival]),
  { ...view("hidden", "airport", ["origin"], [{ ...arrivals1h, name: "hidden_count" }]), online: false },
  view("route_delays", "route", ["origin", "destination"], [{ ...arrivals1h, name: "route_arrivals_1h" }]),
  view("account_arrivals", "account", ["account"], [{ ...arrivals1h, name: "account_arrivals_1h" }]),
  {
    kind: "service",
    name: "delay_model",
    features: [
      { view: "origin_delays", version: 2, feature: "arrivals_1h", as: "arrivals_1h" },
      { view: "origin_delays", version: 2, feature: "mean_delay_1h", as: "mean_delay_1h" },
      { view: "origin_delays", version: 2, feature: "last_delay", as: "last_delay" },
      { view: "route_delays", version: 1, feature: "route_arrivals_1h", as: "route_arrivals_1h" },
    ],
  } satisfies ServiceDefinition,
];

export interface World extends ServePorts {
  /** Not listening until a test starts it. */
  readonly monitor: Metrics;
  readonly clock: ReplayClock;
  readonly recorded: ServedVector[];
  /** Moves the epoch of every view, as a switch to a rebuilt one would. */
  epoch: number;
  ready: boolean;
  revisionNumber: number;
  /** Whether every vector goes to `recorded`; answers of those that do not may be kept. */
  isSampling: boolean;
  /** Stands in for the pipeline's push when set. */
  pushInstead: ServePorts["push"] | null;
  /** Folds one arrival known now. */
  arrive(row: Partial<Record<string, unknown>>): void;
}

export async function createWorld(all: readonly Definition[] = definitions): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "served-world-"));
  const clock = new ReplayClock(START);
  const registry = await openFileRegistry(folder, { clock });
  await registry.apply(all);
  await rm(folder, { recursive: true });
  const views = new Map<string, ServedView & { states: Map<string, ViewState>; changes: ChangeCounts }>();
  let nextOffset = 0;
  const monitor = new Metrics({
    sources: () => [],
    freshness: () => null,
    storeBytes: async () => [],
    resp: () => ({ connections: 0, commands: new Map() }),
    unreadFits: () => 0,
    publishing: () => null,
    remoteStore: () => null,
    registryUp: () => null,
    expectations: () => [],
    skew: () => [],
    workers: () => null,
    onlineStoreBytes: async () => null,
    statusNames: STATUS_NAMES,
  });
  const world: World = {
    monitor,
    metrics: () => monitor.page(),
    clock,
    registry,
    fits: await openFitStore(folder),
    maxFutureMicros: MINUTE,
    recorded: [],
    epoch: 3,
    ready: true,
    revisionNumber: 0,
    isSampling: true,
    keptVectorsBytesMax: 1024 * 1024,
    pushInstead: null,
    revision: () => world.revisionNumber,
    view(name, version) {
      const definition = registry.view(name, version).definition;
      const key = `${name}@${version}`;
      if (!views.has(key)) {
        const entity = registry.entity(definition.entity).definition;
        const states = new Map<string, ViewState>();
        views.set(key, {
          definition,
          entity,
          source: arrivals,
          fold: compileViewFold(definition, arrivals, entity),
          get epoch() {
            return world.epoch;
          },
          states,
          changes: new ChangeCounts(),
          state: (entityKey) => states.get(entityKey) ?? null,
        });
      }
      return views.get(key)!;
    },
    arrive(row) {
      const full = {
        origin: "JFK",
        destination: "LAX",
        account: "1",
        arrived_at: { micros: world.clock.now() },
        delay: 5,
        ...row,
      };
      const values = arrivals.columns.map((c) => checkValue(full[c.name as "delay"], c.type));
      const eventTime = micros(values[3] as number);
      for (const { definition } of registry.views()) {
        const served = world.view(definition.name, definition.version) as ServedView & {
          states: Map<string, ViewState>;
          changes: ChangeCounts;
        };
        const entityKey = served.fold.keyOf(values);
        if (!served.states.has(entityKey)) served.states.set(entityKey, served.fold.empty());
        const event = { offset: nextOffset, eventTime, knownTime: world.clock.now(), row: values };
        served.fold.fold(served.states.get(entityKey)!, event);
        served.changes.changed(entityKey);
      }
      nextOffset++;
    },
    async push(source, rows, faults) {
      if (world.pushInstead !== null) return world.pushInstead(source, rows, faults);
      registry.source(source);
      const outcomes = rows.map((row, i) => {
        const fault = faults?.get(i);
        if (fault !== undefined) {
          return { status: "rejected", code: fault.code, message: fault.message, deadLetterId: `d${i}` };
        }
        if (typeof row !== "object" || row === null || Array.isArray(row)) {
          return { status: "rejected", code: "TYPE_MISMATCH", message: "a row is an object", deadLetterId: `d${i}` };
        }
        try {
          world.arrive(row as Record<string, unknown>);
          return { status: "accepted", offset: nextOffset - 1 };
        } catch (error) {
          const { code, message } = error as OnefoldError;
          return { status: "rejected", code, message, deadLetterId: `d${i}` };
        }
      });
      const accepted = outcomes.filter((o) => o.status === "accepted").length;
      return { accepted, duplicates: 0, rejected: rows.length - accepted, outcomes };
    },
    samples: () => world.isSampling,
    record: (vector) => void world.recorded.push(vector),
    readiness: () => ({ ready: world.ready, waitingFor: world.ready ? [] : ["origin_delays@2"] }),
  };
  return world;
}
