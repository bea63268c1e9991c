/**
 * What serving gets of the platform that owns the data folder; of one that only reads it, the reasons why not.
 */
import type { CodeCheck } from "./code-check.ts";
import type { MonitoringDesks } from "../serve/monitoring-desks.ts";
import type { ServePorts } from "../serve/ports.ts";
import type { ServingLog } from "../serve/serving-log.ts";
import type { ShadowCounts } from "./experiments/shadow-counts.ts";
import { shadowSight } from "./experiments/shadow-sight.ts";
import type { OwnedDrift } from "./monitoring/open-drift.ts";
import type { FreshnessWatch } from "./monitoring/freshness-watch.ts";
import { MAX_FUTURE_MICROS, type RuntimeContext } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";
import type { TrainingDesk } from "../serve/training-desk.ts";

/** Of the owner, as serving needs it. */
export interface ServingOwner {
  readonly sources: SourceRuntimes;
  /** Null where it builds no training sets. */
  readonly training: TrainingDesk | null;
  readonly monitoring: MonitoringDesks;
  readonly servingLog: ServingLog;
  readonly freshness: FreshnessWatch;
  readonly keptVectorsBytes: number;
  readonly drift: OwnedDrift;
  readonly shadows: ShadowCounts;
}

export interface ServePortsOptions {
  readonly context: RuntimeContext;
  readonly owned: ServingOwner | null;
  /** Throws `STORAGE_LOCKED` where this process is not the owner. */
  own(work: string, instead: string): ServingOwner;
  revision(): number;
  metrics: ServePorts["metrics"];
  readonly code: Pick<CodeCheck, "refused" | "warnings">;
  warnings(): readonly string[];
}

export function openServePorts({
  context,
  owned,
  own,
  revision,
  metrics,
  code,
  warnings,
}: ServePortsOptions): ServePorts {
  const { catalog, clock, registry, fits } = context;
  return {
    clock,
    registry,
    fits,
    maxFutureMicros: MAX_FUTURE_MICROS,
    keptVectorsBytesMax: owned?.keptVectorsBytes ?? 0,
    revision,
    view: (name, version) =>
      own("read vectors", "ask its server: POST /services/{name}/vector").sources.view(catalog.view(name, version)),
    push: async (source, rows, faults) => {
      const { sources } = own("push", "push to its server: POST /events/{source}");
      const result = await sources.push(source, rows, faults);
      return { ...result, outcomes: result.outcomes.map((outcome) => ({ ...outcome })) };
    },
    correct: async (source, corrections) => {
      const { sources } = own("correct events", "correct at its server: POST /events/{source}/corrections");
      const result = await sources.get(source).correct(corrections);
      return { ...result, outcomes: result.outcomes.map((outcome) => ({ ...outcome })) };
    },
    // What a draft served cannot be computed again once the draft has changed.
    samples: ({ service, entities, views }, keys) =>
      owned !== null &&
      owned.servingLog.samples(service, entities, keys) &&
      !views.some(({ view }) => view.definition.version === "dev"),
    ...(owned === null || owned.training === null ? {} : { training: owned.training }),
    ...(owned === null ? {} : { monitoring: owned.monitoring }),
    record: (vector) => owned?.servingLog.record(vector),
    ...(owned?.drift.recorder.sight === undefined ? {} : { sight: owned.drift.recorder.sight }),
    ...(owned === null ? {} : { shadow: shadowSight((news) => owned.shadows.took(news)) }),
    metrics,
    freshness: (options) => own("judge freshness", "ask its server: GET /freshness").freshness.report(options),
    readiness: () =>
      owned === null
        ? { ready: false, waitingFor: ["the owner of the data folder"] }
        : withMore(owned.sources.readiness(), code.refused, [...warnings(), ...code.warnings]),
  };
}

function withMore(
  readiness: ReturnType<SourceRuntimes["readiness"]>,
  refused: readonly string[],
  more: readonly string[],
): ReturnType<ServePorts["readiness"]> {
  return { ...readiness, refused, warnings: [...readiness.warnings, ...more] };
}
