/**
 * The vector of every label row, computed from the features that the join has read: the same program that
 * serving runs, row by row.
 */
import { setImmediate } from "node:timers/promises";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { Value } from "../schema/value.ts";
import type { ServiceProgram } from "../vector/service-program.ts";
import { FeatureColumn } from "./feature-columns.ts";
import { readTokens } from "./label-runs.ts";
import type { Knowledge } from "./manifest.ts";
import { throwIfCancelled } from "./replay-view.ts";
import type { Spine } from "./spine.ts";

/** Between so many rows a cancel is looked for. */
const ROWS_A_TURN = 16_384;

export interface ComputeRequest {
  readonly program: ServiceProgram;
  /** In the order of the program's inputs. */
  readonly inputs: readonly FeatureColumn[];
  /** In the order of its request columns. */
  readonly request: readonly FeatureColumn[];
  /** When each label row is read, microseconds. */
  readonly asOf: Float64Array;
  readonly signal?: AbortSignal;
}

/** One column an output, in the order of the vector. Throws `CANCELLED`, and what the program throws, naming the row. */
export async function computeColumns(compute: ComputeRequest): Promise<FeatureColumn[]> {
  const { program, inputs, request, asOf, signal } = compute;
  const { slots, outputs } = program;
  const columns = outputs.map(({ name, type, slot }) => new FeatureColumn(name, type, slot, asOf.length));
  const row: Value[] = request.map(() => null);
  for (let at = 0; at < asOf.length; at++) {
    if (at % ROWS_A_TURN === 0) {
      await setImmediate();
      throwIfCancelled(signal);
    }
    for (let i = 0; i < inputs.length; i++) {
      slots.values[i] = inputs[i]!.value(at);
      slots.statuses[i] = inputs[i]!.status(at);
    }
    for (let i = 0; i < request.length; i++) row[i] = request[i]!.value(at);
    try {
      program.run(row, asOf[at]! as Micros);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      const where = `label row ${at + 1} (counted from 1, without a header)${error.where === undefined ? "" : `, ${error.where}`}`;
      throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
    }
    for (const column of columns) column.set(at, slots);
  }
  return columns;
}

/** When each label row is read: its own time, or that of its token. */
export async function readLabelTimes(engine: QueryEngine, spine: Spine, knowledge: Knowledge): Promise<Float64Array> {
  if (knowledge === "as-served") {
    return Float64Array.from(await readTokens(engine, spine), (token) => token.asOf);
  }
  const times = new Float64Array(spine.rowCount);
  const wanted = [{ as: "int32" }, { as: "number" }] as const;
  for await (const batch of engine.stream("SELECT row, t FROM spine_label", wanted)) {
    const rows = batch.columns[0] as Int32Array;
    const values = batch.columns[1] as Float64Array;
    for (let i = 0; i < batch.rowCount; i++) times[rows[i]!] = values[i]!;
  }
  return times;
}
