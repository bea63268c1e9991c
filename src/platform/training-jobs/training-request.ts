/**
 * What a training job was asked for over the wire, as the request that training takes.
 */
import { OnefoldError } from "../../base/errors.ts";
import { parseDuration, parseMicros } from "../../base/micros.ts";
import type { TrainingOptions } from "../../serve/training-desk.ts";
import { checkTimeSplit } from "../../training/time-split.ts";
import type { TrainRequest } from "../../training/training-set.ts";

/**
 * `labels` is the file of label rows, or at ticks that of entities; null for every entity. Throws `REQUEST_INVALID`,
 * `TIME_INVALID`, `DURATION_INVALID`.
 */
export function trainingRequest(options: TrainingOptions, labels: string | null): Omit<TrainRequest, "ports"> {
  const { service, knowledge, boundary, fit, split } = options;
  if (options.explain_leakage === true && (knowledge ?? "as-known") !== "as-known") {
    throw new OnefoldError("REQUEST_INVALID", `explain_leakage is given together with knowledge ${knowledge}`, {
      hint: "the report compares what was known with final knowledge: leave knowledge out",
    });
  }
  return {
    service,
    labels: options.every === undefined ? labelFile(options, labels) : ticks(options, options.every, labels),
    ...(knowledge === undefined ? {} : { knowledge }),
    ...(boundary === undefined ? {} : { boundary }),
    ...(fit === undefined ? {} : { fit }),
    ...(split === undefined ? {} : { timeSplit: timeSplit(split) }),
    withStatuses: options.statuses === true,
    allowAfterLog: options.allow_after_log === true,
  };
}

function labelFile(options: TrainingOptions, path: string | null): TrainRequest["labels"] {
  const { from, to, time_column: timeColumn, token_column: tokenColumn, key_columns: keyColumns } = options;
  if (path === null || from !== undefined || to !== undefined) {
    const what = path === null ? "entities" : from === undefined ? "to" : "from";
    throw new OnefoldError("REQUEST_INVALID", `${what} is given without every`, {
      hint: 'entities at ticks are asked for with "every": "1d", say; label rows have their own times',
    });
  }
  return {
    path,
    ...(timeColumn === undefined ? {} : { timeColumn }),
    ...(tokenColumn === undefined ? {} : { tokenColumn }),
    ...(keyColumns === undefined ? {} : { keyColumns }),
  };
}

function ticks(options: TrainingOptions, every: string, path: string | null): TrainRequest["labels"] {
  const { from, to, key_columns: keyColumns } = options;
  const refused = ["time_column", "token_column"].find((name) => options[name as keyof TrainingOptions] !== undefined);
  if (refused !== undefined) {
    throw new OnefoldError("REQUEST_INVALID", `${refused} is given together with every`, {
      hint: "rows at ticks have their time in the column event_timestamp, and no tokens",
    });
  }
  return {
    everyMicros: parseDuration(every),
    entities: path === null ? "all" : { path },
    ...(from === undefined ? {} : { from: parseMicros(from) }),
    ...(to === undefined ? {} : { to: parseMicros(to) }),
    ...(keyColumns === undefined ? {} : { keyColumns }),
  };
}

function timeSplit(split: readonly number[] | readonly string[]): TrainRequest["timeSplit"] & object {
  const isShares = split.every((part) => typeof part === "number");
  if (isShares) return checkTimeSplit({ shares: split as readonly number[] });
  return checkTimeSplit({ cuts: (split as readonly string[]).map(parseMicros) });
}
