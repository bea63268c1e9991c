/**
 * The audit as a standing job: what was served since the last round, of a sample of entities, computed again from the log and
 * compared to the bit. And a user's own serving log, on demand.
 *
 * A round reads the serving log on from where the one before ended, up to where it stood when the round began; the archive is
 * brought up to the log's end after that, so all that had been folded into those vectors is in it.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { formatMicros, parseMicros } from "../../base/micros.ts";
import { TurnQueue } from "../../base/turn-queue.ts";
import { formatViewName } from "../../define/definition.ts";
import { serviceId } from "../../define/service-version.ts";
import { murmur3 } from "../../fold/value-hash.ts";
import { readSkewState, skewFolder, type SkewRound, writeSkewState } from "../../monitor/skew/skew-file.ts";
import { type FeatureSkew, type SkewCounts, ratioOf, SkewTally } from "../../monitor/skew/skew-tally.ts";
import type { Signal, SignalSource } from "../../monitor/signal.ts";
import { readServingLogFrom, type ServedVector } from "../../schema/served-vector.ts";
import { audit } from "../../training/audit.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { auditServedFile, type ServedFileRequest, type ServedFileResult } from "../../training/served-file.ts";
import type { RuntimeContext } from "../runtime-context.ts";

/** Vectors of a round; what is more waits for the next. */
const VECTORS_A_ROUND = 50_000;

export interface SkewDeskOptions {
  readonly context: RuntimeContext;
  readonly ports: TrainingPorts;
  /** Resolves once all that was served is in the serving log. */
  flush(): Promise<void>;
  /** Share of the entities in the serving log that are audited, by a hash of their keys. Default 1. */
  readonly share?: number;
  readonly vectorsMax?: number;
}

export type ServedFileOptions = Omit<ServedFileRequest, "ports" | "onCompared">;

/** What a user's own serving log came to. */
export interface ServedFileReport extends ServedFileResult, Omit<SkewCounts, "of" | "feature"> {
  readonly skew: readonly FeatureSkew[];
  /** Nothing differs. */
  readonly clean: boolean;
}

export class SkewDesk implements SignalSource {
  readonly #options: SkewDeskOptions;
  readonly #folder: string;
  /** Since this process began, for the metrics. */
  readonly #totals = new Map<string, SkewCounts>();
  readonly #turns = new TurnQueue();

  constructor(options: SkewDeskOptions) {
    this.#options = options;
    this.#folder = skewFolder(options.context.dataDir);
  }

  /** The rounds that are kept, newest first. */
  async rounds(): Promise<readonly SkewRound[]> {
    return (await readSkewState(this.#folder)).rounds.toReversed();
  }

  totals(): readonly SkewCounts[] {
    return [...this.#totals.values()];
  }

  /** Of the last round, one a feature that it compared. */
  async signals(): Promise<readonly Signal[]> {
    const [last, before] = await this.rounds();
    if (last === undefined) return [];
    const { registry } = this.#options.ports;
    const services = new Set(registry.services().map(({ definition }) => serviceId(definition)));
    const views = new Set(
      [...registry.views(), ...registry.onDemandViews()].map((one) => formatViewName(one.definition)),
    );
    const isView = (of: string): boolean => of.includes("@") && (views.has(of) || !services.has(of));
    return last.features.map((one): Signal => ({
      kind: "skew",
      subject: { ...(isView(one.of) ? { view: one.of } : { service: one.of }), feature: one.feature },
      measure: "differing_ratio",
      value: ratioOf(one),
      threshold: 0,
      isBeyond: ratioOf(one) > 0,
      pValue: null,
      samples: one.compared,
      windowStartMicros: parseMicros(before?.ended_at ?? last.started_at),
      windowEndMicros: parseMicros(last.ended_at),
      detail: { ...one },
    }));
  }

  /** Audits what was served since the last round; one at a time. Only for the owner of the data folder. */
  round(signal?: AbortSignal): Promise<SkewRound> {
    return this.#turns.take(() => this.#round(signal));
  }

  /** Does the work while no round is under way. */
  withoutRounds<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** Throws as `auditServedFile`. */
  async servedFile(options: ServedFileOptions): Promise<ServedFileReport> {
    const tally = new SkewTally();
    const result = await auditServedFile({
      ...options,
      ports: this.#options.ports,
      onCompared: ({ row, entity, ...compared }) =>
        tally.add({ ...compared, of: options.service, entity: { ...entity, row: row + 1 } }),
    });
    const skew = tally.features();
    const sums = sumOf(skew);
    return { ...result, ...sums, skew, clean: sums.mismatched + sums.missing + sums.extra === 0 };
  }

  async #round(signal: AbortSignal | undefined): Promise<SkewRound> {
    const { context, ports, flush, share = 1, vectorsMax = VECTORS_A_ROUND } = this.#options;
    const startedMicros = context.clock.now();
    await flush();
    const state = await readSkewState(this.#folder);
    const log = join(context.dataDir, "serving-log");
    const places: Record<string, number> = {};
    let damaged = 0;
    const vectors: ServedVector[] = [];
    for await (const { vector, segment, end } of readServingLogFrom(log, state.places)) {
      places[segment] = end;
      if (vector === null) damaged++;
      else if (isSampled(vector.keys, share)) vectors.push(vector);
      if (vectors.length >= vectorsMax) break;
    }
    const tally = new SkewTally();
    const found = await audit({
      ports: { ...ports, openEngine: () => ports.openEngine({ threads: 1 }) },
      vectors,
      mismatchesKept: 0,
      onCompared: ({ vector, ...compared }) =>
        tally.add({ ...compared, entity: vector.keys, asOfMicros: vector.token.asOf }),
      ...(signal === undefined ? {} : { signal }),
    });
    const features = tally.features();
    const round: SkewRound = {
      started_at: formatMicros(startedMicros),
      ended_at: formatMicros(context.clock.now()),
      vectors: found.vectors,
      ...sumOf(features),
      unknown: found.missing,
      pending: found.pending,
      damaged,
      features,
    };
    await writeSkewState(this.#folder, {
      places: await presentPlaces(log, { ...state.places, ...places }),
      rounds: [...state.rounds, round],
    });
    for (const one of features) this.#count(one);
    return round;
  }

  #count({ of, feature, compared, mismatched, missing, extra }: FeatureSkew): void {
    const key = `${of} ${feature}`;
    const before = this.#totals.get(key);
    this.#totals.set(key, {
      of,
      feature,
      compared: compared + (before?.compared ?? 0),
      mismatched: mismatched + (before?.mismatched ?? 0),
      missing: missing + (before?.missing ?? 0),
      extra: extra + (before?.extra ?? 0),
    });
  }
}

function sumOf(features: readonly FeatureSkew[]): Omit<SkewCounts, "of" | "feature"> {
  const sum = (of: (one: FeatureSkew) => number): number => features.reduce((total, one) => total + of(one), 0);
  return {
    compared: sum((one) => one.compared),
    mismatched: sum((one) => one.mismatched),
    missing: sum((one) => one.missing),
    extra: sum((one) => one.extra),
  };
}

/** By another hash than the serving log samples by: a share of what is there. */
function isSampled(keys: Readonly<Record<string, string>>, share: number): boolean {
  if (share >= 1) return true;
  const text = JSON.stringify(Object.entries(keys).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return (murmur3(Buffer.from(text))[0]! >>> 0) / 2 ** 32 < share;
}

/** Segments that were removed are forgotten. */
async function presentPlaces(log: string, places: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  const present = await Promise.all(
    Object.entries(places).map(async ([segment, end]) => {
      const isThere = await stat(join(log, segment)).then(
        () => true,
        () => false,
      );
      return isThere ? [[segment, end] as const] : [];
    }),
  );
  return Object.fromEntries(present.flat());
}
