/**
 * How the aggregations over summaries, decayed sums and times are accumulated and read.
 */
import type { Value } from "../schema/value.ts";
import { type Cells, FAILED } from "./accumulator.ts";
import { categoryCounts, countsValue } from "./category-counts.ts";
import type { CellGroup } from "./cell-group.ts";
import { type ChannelPlan, isKeptAsNumber } from "./channel-plan.ts";
import { CountAccumulator } from "./count-and-sum.ts";
import { DecayedAccumulator, decayedMean, decayedSumAt } from "./decayed-sums.ts";
import { DISTINCT_VALUES, distinctCount, distinctError, type DistinctState } from "./distinct-values.ts";
import type { PlannedReader } from "./feature-reader.ts";
import { LastAccumulator } from "./first-and-last.ts";
import { quantileError, quantileOf, QUANTILES, type QuantileState } from "./quantile-sketch.ts";
import { sessionCount, sessionCountError, sessionCounts, type SessionCountState } from "./session-counts.ts";
import { type Summary, SummaryAccumulator } from "./summary.ts";
import { TOP_VALUES, topCounts, topError, topOther, type TopState, topValues } from "./top-values.ts";
import { firstValues, lastValues, listValue, type ListState } from "./value-list.ts";
import type { CheckedFeature } from "./view-check.ts";

const MICROS_PER_SECOND = 1_000_000;

export function planSummary(feature: CheckedFeature, channel: ChannelPlan, group: CellGroup): PlannedReader {
  const { fn, parameters = {}, over } = feature.definition.aggregation;
  const channelName = `${channel.maskCell}/${channel.bit}`;

  /** Reads one object cell, in which `Summary`'s states are kept under `name`. */
  const summary = <S>(
    name: string,
    states: Summary<S>,
    value: (state: S | null) => Value,
    error: ((state: S | null) => number) | null = null,
  ): PlannedReader => {
    const inputType = feature.inputType!;
    const { objectCell } = group.reserve(
      `${name} ${channelName}`,
      feature,
      { numbers: 0, objects: 1 },
      (_cell, at) => new SummaryAccumulator(states as Summary, channel, inputType, isKeptAsNumber(inputType), at),
    );
    return {
      read: ({ objects }) => value(objects[objectCell] as S | null),
      error: error === null ? null : ({ objects }) => error(objects[objectCell] as S | null),
    };
  };
  const decayed = (halfLife: number): number =>
    group.reserve(
      `decayed ${halfLife} ${channelName}`,
      feature,
      { numbers: 3, objects: 0 },
      (cell) => new DecayedAccumulator(channel, halfLife, cell),
    ).cell;
  const exact = (read: (cells: Cells, asOf: number) => number | null): PlannedReader => ({
    read: (cells, asOf) => {
      const value = read(cells, asOf);
      if (value === null) return null;
      return Number.isFinite(value) ? value + 0 : FAILED;
    },
    error: null,
  });

  switch (fn) {
    case "firstK":
      return summary<ListState>(`firstK ${parameters.k}`, firstValues(parameters.k!), listValue);
    case "lastK":
      return summary<ListState>(`lastK ${parameters.k}`, lastValues(parameters.k!), listValue);
    case "countDistinct":
      return summary<DistinctState>(fn, DISTINCT_VALUES, distinctCount, distinctError);
    case "topK":
    case "topCounts":
    case "topOther": {
      const k = parameters.k!;
      const value = { topK: topValues, topCounts, topOther }[fn];
      // what k counts lack, the rest has too many
      const share = fn === "topOther" ? k : 1;
      // one state for all three, whatever k
      return summary<TopState>(
        "topK",
        TOP_VALUES,
        (state) => value(state, k),
        (state) => share * topError(state),
      );
    }
    case "histogram": {
      const categories = parameters.categories!;
      const name = `histogram ${JSON.stringify(categories)}`;
      return summary<number[]>(name, categoryCounts(categories), (counts) => countsValue(counts, categories.length));
    }
    case "quantile":
      return summary<QuantileState>(fn, QUANTILES, (state) => quantileOf(state, parameters.q!), quantileError);
    case "ewma": {
      const cell = decayed(parameters.halfLifeMicros!);
      return exact(({ numbers }) => decayedMean(numbers, cell));
    }
    case "decayedSum": {
      const halfLife = parameters.halfLifeMicros!;
      const cell = decayed(halfLife);
      return exact(({ numbers }, asOf) => decayedSumAt(numbers, cell, asOf, halfLife));
    }
    case "timeSinceLast": {
      // the time of an event stands in cell 0 of its record
      const times = { ...channel, inputCell: 0 };
      const { cell } = group.reserve(
        `time ${channelName}`,
        feature,
        { numbers: 2, objects: 0 },
        (at, objectAt) => new LastAccumulator(times, "number", at, objectAt),
      );
      return exact(({ numbers }, asOf) => {
        const time = numbers[cell]!;
        return Number.isFinite(time) ? (asOf - time) / MICROS_PER_SECOND : null;
      });
    }
    case "countSessions": {
      const gap = parameters.gapMicros!;
      // the times are all it takes, whatever the column
      const times = { ...channel, inputCell: 0 };
      const { objectCell } = group.reserve(
        `sessions ${gap} ${channelName}`,
        feature,
        { numbers: 0, objects: 1 },
        (_cell, at) => new SummaryAccumulator(sessionCounts(gap) as Summary, times, { name: "timestamp" }, true, at),
      );
      const stateOf = ({ objects }: Cells): SessionCountState | null => objects[objectCell] as SessionCountState | null;
      return { read: (cells) => sessionCount(stateOf(cells)), error: (cells) => sessionCountError(stateOf(cells)) };
    }
    case "rate": {
      const seconds = (over as { readonly micros: number }).micros / MICROS_PER_SECOND;
      const { cell } = group.reserve(
        `count ${channelName}`,
        feature,
        { numbers: 1, objects: 0 },
        (at) => new CountAccumulator(channel, at),
      );
      return exact(({ numbers }) => numbers[cell]! / seconds);
    }
    default:
      throw new Error(`${fn} is not planned`);
  }
}
