/**
 * From a view's definition to what its fold runs on: which columns and predicates are evaluated for an
 * event, how raw records, buckets and lifetime cells are laid out, and how each feature is read.
 *
 * Features with the same input under the same predicate share a channel, and those that need the same
 * accumulator over it share its cells, whatever their windows.
 */
import {
  type EntityDefinition,
  type SourceDefinition,
  type ViewDefinition,
  formatViewName,
} from "../define/definition.ts";
import type { Aggregation, AggregationName } from "../define/aggregation-definition.ts";
import { namesOf, type Value } from "../schema/value.ts";
import type { Accumulator } from "./accumulator.ts";
import { BUCKET_HEADER_CELLS, type BucketLayout } from "./bucket-layout.ts";
import { definitionText } from "./canonical-json.ts";
import type { PlannedAccumulator } from "./cell-group.ts";
import { type CustomPlan, planCells } from "./cell-plan.ts";
import { planChannels, type RecordPlan } from "./channel-plan.ts";
import { joinCountsAndSums } from "./count-and-sum.ts";
import { type CompiledDerived, compileDerived } from "./derive.ts";
import { expressionColumns } from "./expression.ts";
import type { FeatureReader, PlannedReader } from "./feature-reader.ts";
import { keepsObject } from "./first-and-last.ts";
import type { LifetimeLayout } from "./fold-state.ts";
import { hopForWindow, hopsByLength } from "./hop-ladder.ts";
import { planRead, type ReadPlan, sessionKey } from "./read-plan.ts";
import { type SessionWindow, sessionWindow } from "./session-window.ts";
import type { StateLayout } from "./state-codec.ts";
import { type CheckedFeature, checkView } from "./view-check.ts";

export interface FeaturePlan {
  readonly feature: CheckedFeature;
  readonly read: FeatureReader;
  /** Null where the value is always exact. */
  readonly error: PlannedReader["error"];
  readonly default: Value;
  readonly ttlMicros: number;
  /** Whether its value may change with asOf alone, while its window holds the same events. */
  readonly movesWithTime: boolean;
}

export interface ViewPlan extends ReadPlan {
  readonly viewName: string;
  readonly derived: CompiledDerived;
  readonly record: RecordPlan;
  /** What columns that were renamed are called beside the name that they are stored under. */
  readonly renamed: readonly { readonly column: number; readonly names: readonly string[] }[];
  readonly customs: readonly CustomPlan[];
  readonly features: readonly FeaturePlan[];
  /** What a read of some features alone goes through, by their positions. */
  readOf(positions: readonly number[]): ReadPlan;
  readonly state: StateLayout;
  /** Row positions and types of the entity's key. */
  readonly key: readonly { readonly column: number; readonly type: SourceDefinition["columns"][number]["type"] }[];
  readonly inputColumns: readonly string[];
  readonly eventColumns: readonly string[];
  readonly forgetAfterMicros: number;
}

/** A user's own `read` is given asOf and may do with it what it likes. */
const MOVE_WITH_TIME: ReadonlySet<AggregationName> = new Set(["timeSinceLast", "decayedSum", "custom"]);

/** Throws `DEFINITION_INVALID`, naming the view and feature and, where known, file and line. */
export function planView(view: ViewDefinition, source: SourceDefinition, entity: EntityDefinition): ViewPlan {
  const derived = compileDerived(source);
  const { features, key } = checkView(view, source, entity, derived);
  const { channelOf, record } = planChannels(features, derived.columns);
  const cells = planCells(features, channelOf, source.allowNonFinite);

  const timeLengths = lengthsOf(features, "time");
  const lastLengths = lengthsOf(features, "last");
  const lastEvents = lastLengths.at(-1) ?? 0;
  const sessions = sessionsOf(features);
  const reaches = reachesOf(timeLengths, sessions);
  const list: BucketLayout = {
    accumulators: accumulatorsOf(cells.windowed.accumulators),
    stride: BUCKET_HEADER_CELLS + cells.windowed.numberCells,
    objectStride: cells.windowed.objectCells,
    rawStride: record.keptNumberCells,
    rawObjectStride: record.keptObjectCells,
    windows: reaches.map(({ length }) => length),
    hops: hopsByLength(reaches),
    exactEvents: Math.max(view.exactEvents, lastEvents),
    lastEvents,
  };
  const lifetime: LifetimeLayout = {
    accumulators: accumulatorsOf(cells.lifetime.accumulators),
    stride: cells.lifetime.numberCells,
    objectStride: cells.lifetime.objectCells,
    hasValuesAlone:
      cells.lifetime.accumulators.filter(({ accumulator }) => keepsObject(accumulator)).length ===
      cells.lifetime.objectCells,
    customEmpty: cells.customs.flatMap(({ states, lifetimeCell }) =>
      lifetimeCell === -1 ? [] : [{ objectCell: lifetimeCell, text: states.emptyText }],
    ),
  };
  const reads = { features, accumulators: cells.windowed.accumulators, timeLengths, lastLengths, sessions };
  const viewName = formatViewName(view);
  const read = view.features.flatMap(({ aggregation }) => columnsOf(aggregation, source));
  const isDerived = (name: string): boolean => source.derived.some((column) => column.name === name);
  return {
    viewName,
    derived,
    record,
    renamed: source.columns.flatMap((column, i) => {
      const names = namesOf(column).filter((name) => name !== column.name);
      return names.length === 0 ? [] : [{ column: i, names }];
    }),
    customs: cells.customs,
    features: features.map((feature, i) => ({
      feature,
      read: cells.readers[i]!.read,
      error: cells.readers[i]!.error,
      default: feature.definition.default ?? null,
      ttlMicros: feature.definition.ttlMicros ?? view.ttlMicros ?? Number.POSITIVE_INFINITY,
      movesWithTime: MOVE_WITH_TIME.has(feature.definition.aggregation.fn),
    })),
    ...planRead(
      reads,
      features.map((_, i) => i),
    ),
    readOf: (positions) => planRead(reads, positions),
    state: { lifetime, list, hash: layoutHash(view, source, derived), viewName },
    key,
    inputColumns: derived.storedColumnsFor([...view.key, ...read]),
    eventColumns: derived.storedColumnsFor([...view.key.filter(isDerived), ...read]),
    forgetAfterMicros: view.forgetAfterMicros ?? Number.POSITIVE_INFINITY,
  };
}

function lengthsOf(features: readonly CheckedFeature[], kind: "time" | "last"): number[] {
  const lengths = new Set<number>();
  for (const { over } of features) {
    if (over?.kind === kind) lengths.add(over.kind === "time" ? over.micros : over.events);
  }
  return [...lengths].sort((a, b) => a - b);
}

function sessionsOf(features: readonly CheckedFeature[]): SessionWindow[] {
  const sessions = new Map<string, SessionWindow>();
  for (const { over } of features) if (over?.kind === "session") sessions.set(sessionKey(over), sessionWindow(over));
  return [...sessions.values()];
}

/** Lengths that events are kept for, ascending, with the hop of the finest window of each. */
function reachesOf(
  timeLengths: readonly number[],
  sessions: readonly SessionWindow[],
): { length: number; hop: number }[] {
  const hops = new Map(timeLengths.map((length) => [length, hopForWindow(length)]));
  for (const { maxMicros, hopMicros } of sessions) {
    hops.set(maxMicros, Math.min(hops.get(maxMicros) ?? hopMicros, hopMicros));
  }
  return [...hops].map(([length, hop]) => ({ length, hop })).sort((a, b) => a.length - b.length);
}

function accumulatorsOf(planned: readonly PlannedAccumulator[]): Accumulator[] {
  return joinCountsAndSums(planned.map((entry) => entry.accumulator));
}

/** Names of the columns that an aggregation reads itself. */
function columnsOf({ fn, column, where }: Aggregation, source: SourceDefinition): string[] {
  const columns = where === undefined ? [] : expressionColumns(where);
  if (column !== undefined) columns.push(column);
  else if (fn === "custom") columns.push(...source.columns.map(({ name }) => name));
  return columns;
}

/** FNV-1a over everything that gives a state's cells their meaning. Widened numbers take the very cells that they took. */
function layoutHash(view: ViewDefinition, source: SourceDefinition, derived: CompiledDerived): number {
  const read = view.features.flatMap(({ aggregation }) =>
    aggregation.fn === "custom" ? [] : columnsOf(aggregation, source),
  );
  const reached = derived.columnsBehind(read);
  const text = definitionText({
    features: view.features.map(({ aggregation: { fn, column, over, where, custom, parameters } }) => {
      return { fn, column, over, where, custom: custom?.name, parameters };
    }),
    columns: source.columns
      .filter(({ name }) => reached.has(name))
      .map(({ name, type, from }) => ({ name, type: from ?? type })),
    derived: source.derived.filter(({ name }) => reached.has(name)),
    exactEvents: view.exactEvents,
    forgetAfter: view.forgetAfterMicros,
  });
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash;
}
