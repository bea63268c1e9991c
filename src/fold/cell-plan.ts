/**
 * Which accumulators a view's features need, and which cells each of them has in a bucket or in the
 * lifetime group.
 */
import { BUCKET_HEADER_CELLS } from "./bucket-layout.ts";
import { CellGroup } from "./cell-group.ts";
import { type ChannelPlan, isKeptAsNumber } from "./channel-plan.ts";
import { CountAccumulator, SumAccumulator } from "./count-and-sum.ts";
import { CustomAccumulator, type CustomStates } from "./custom-states.ts";
import { MaxAccumulator, MinAccumulator } from "./extremes.ts";
import {
  type FeatureReader,
  type PlannedReader,
  readCount,
  readCustomBox,
  readCustomText,
  readExtreme,
  readMean,
  readNumberAt,
  readObjectAt,
  readStddev,
  readSum,
  readVariance,
} from "./feature-reader.ts";
import { FirstAccumulator, LastAccumulator } from "./first-and-last.ts";
import { MomentsAccumulator } from "./moments.ts";
import { planSummary } from "./summary-plan.ts";
import type { CheckedFeature } from "./view-check.ts";

/** A custom aggregation of a feature, evaluated for every event that counts for its channel. */
export interface CustomPlan {
  readonly states: CustomStates;
  readonly channel: ChannelPlan;
  /** Object cell of its state in the lifetime group, or -1. */
  readonly lifetimeCell: number;
  /** Its accumulator in the bucket list, or null. */
  readonly windowed: CustomAccumulator | null;
}

export interface CellPlan {
  readonly windowed: CellGroup;
  readonly lifetime: CellGroup;
  /** One a feature, in the view's order. */
  readonly readers: readonly PlannedReader[];
  readonly customs: readonly CustomPlan[];
}

export function planCells(
  features: readonly CheckedFeature[],
  channelOf: readonly ChannelPlan[],
  allowNonFinite: boolean,
): CellPlan {
  const windowed = new CellGroup(BUCKET_HEADER_CELLS);
  const lifetime = new CellGroup(0);
  const customs: CustomPlan[] = [];
  const readers = features.map((feature, i) => {
    const group = feature.over === null ? lifetime : windowed;
    const channel = channelOf[i]!;
    if (feature.custom !== null) {
      return exact(planCustom(feature.custom, feature, channel, group, customs, allowNonFinite));
    }
    const read = planBuiltIn(feature, channel, group, allowNonFinite);
    return read === null ? planSummary(feature, channel, group) : exact(read);
  });
  return { windowed, lifetime, readers, customs };
}

function exact(read: FeatureReader): PlannedReader {
  return { read, error: null };
}

/** null for what `summary-plan.ts` plans. */
function planBuiltIn(
  feature: CheckedFeature,
  channel: ChannelPlan,
  group: CellGroup,
  allowNonFinite: boolean,
): FeatureReader | null {
  const { fn } = feature.definition.aggregation;
  const { type } = feature.definition;
  const over = `${channel.maskCell}/${channel.bit}`;
  const count = (): number =>
    group.reserve(`count ${over}`, feature, { numbers: 1, objects: 0 }, (cell) => new CountAccumulator(channel, cell))
      .cell;
  const sum = (): number =>
    group.reserve(`sum ${over}`, feature, { numbers: 2, objects: 0 }, (cell) => new SumAccumulator(channel, cell)).cell;
  const moments = (): number =>
    group.reserve(
      `moments ${over}`,
      feature,
      { numbers: 3, objects: 0 },
      (cell) => new MomentsAccumulator(channel, cell),
    ).cell;
  switch (fn) {
    case "count":
      return readCount(count());
    case "sum":
      return readSum(count(), sum(), type, allowNonFinite);
    case "mean":
      return readMean(count(), sum(), allowNonFinite);
    case "min":
    case "max": {
      const Extreme = fn === "min" ? MinAccumulator : MaxAccumulator;
      const { cell } = group.reserve(
        `${fn} ${over}`,
        feature,
        { numbers: 1, objects: 0 },
        (at) => new Extreme(channel, at),
      );
      return readExtreme(count(), cell, allowNonFinite);
    }
    case "variance":
      return readVariance(moments(), allowNonFinite);
    case "stddev":
      return readStddev(moments(), allowNonFinite);
    case "first":
    case "last": {
      const asNumber = isKeptAsNumber(type);
      const End = fn === "first" ? FirstAccumulator : LastAccumulator;
      const size = asNumber ? { numbers: 2, objects: 0 } : { numbers: 1, objects: 1 };
      const kind = asNumber ? "number" : "object";
      const planned = group.reserve(
        `${fn} ${over}`,
        feature,
        size,
        (at, objectAt) => new End(channel, kind, at, objectAt),
      );
      return asNumber ? readNumberAt(planned.cell, type, allowNonFinite) : readObjectAt(planned.objectCell);
    }
    case "custom":
      throw new Error("a custom aggregation without its functions");
    default:
      return null;
  }
}

function planCustom(
  states: CustomStates,
  feature: CheckedFeature,
  channel: ChannelPlan,
  group: CellGroup,
  customs: CustomPlan[],
  allowNonFinite: boolean,
): FeatureReader {
  if (feature.over === null) {
    const lifetimeCell = group.objectCells++;
    customs.push({ states, channel, lifetimeCell, windowed: null });
    return readCustomText(states, lifetimeCell, allowNonFinite);
  }
  const { accumulator, objectCell } = group.reserve(
    `custom ${feature.definition.name}`,
    feature,
    { numbers: 0, objects: 1 },
    (_cell, at) => new CustomAccumulator(states, channel, at),
  );
  customs.push({ states, channel, lifetimeCell: -1, windowed: accumulator as CustomAccumulator });
  return readCustomBox(states, objectCell, allowNonFinite);
}
