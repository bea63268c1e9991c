/**
 * The vector of every label row, computed from the features that the join has read, row by row: the same program
 * that serving runs or, for a row that was served with another fit, that of its fit.
 */
import { setImmediate } from "node:timers/promises";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { Value } from "../schema/value.ts";
import type { VectorToken } from "../schema/vector-token.ts";
import type { ServiceProgram } from "../vector/service-program.ts";
import { FeatureColumn } from "./feature-columns.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import type { Spine } from "./spine.ts";

/** Between so many rows a cancel is looked for. */
const ROWS_A_TURN = 16_384;

/** What some of the rows are computed by. */
export interface ColumnProgram {
  readonly program: ServiceProgram;
  /** In the order of the program's inputs. */
  readonly inputs: readonly FeatureColumn[];
  /** In the order of its request columns. */
  readonly request: readonly FeatureColumn[];
}

export interface ComputeRequest {
  /** Several give the same columns; the first names them. */
  readonly programs: readonly ColumnProgram[];
  /** By row, which of the programs computes it; null where the first computes all. */
  readonly programOf: Int32Array | null;
  /** When each label row is read, microseconds. */
  readonly asOf: Float64Array;
  /** Label row that the first of them is; the request columns begin with label row 0 whatever it is. Default 0. */
  readonly firstRow?: number;
  readonly signal?: AbortSignal;
}

/**
 * One column an output, in the order of the vector. A row's window counts as begun later than asked where that of one of the
 * features that the output is made from was. Throws `CANCELLED`, and what a program throws, naming the row.
 */
export async function computeColumns(compute: ComputeRequest): Promise<FeatureColumn[]> {
  const { programs, programOf, asOf, firstRow = 0, signal } = compute;
  const columns = programs[0]!.program.outputs.map(
    ({ name, type, slot }) => new FeatureColumn(name, type, slot, asOf.length),
  );
  const later = programs.map((program) => laterSources(program, columns));
  const requestRows = programs.map(({ request }): Value[] => request.map(() => null));
  for (let at = 0; at < asOf.length; at++) {
    if (at % ROWS_A_TURN === 0) {
      await setImmediate();
      throwIfCancelled(signal);
    }
    const which = programOf === null ? 0 : programOf[at]!;
    const { program, inputs, request } = programs[which]!;
    const { slots, outputs } = program;
    const requestRow = requestRows[which]!;
    for (let i = 0; i < inputs.length; i++) {
      slots.values[i] = inputs[i]!.value(at);
      slots.statuses[i] = inputs[i]!.status(at);
    }
    for (let i = 0; i < request.length; i++) requestRow[i] = request[i]!.value(firstRow + at);
    try {
      program.run(requestRow, asOf[at]! as Micros);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      const where = `label row ${firstRow + at + 1} (counted from 1, without a header)${error.where === undefined ? "" : `, ${error.where}`}`;
      throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
    }
    for (let i = 0; i < columns.length; i++) {
      const { slot } = outputs[i]!;
      columns[i]!.put(at, slots.values[slot]!, slots.statuses[slot]!);
    }
    for (const { column, flags } of later[which]!) if (flags[at] === 1) column.markLaterWindow(at);
  }
  return columns;
}

/** Inputs with windows that began later than asked, each with the column of an output that is made from it. */
function laterSources(
  { program, inputs }: ColumnProgram,
  columns: readonly FeatureColumn[],
): { readonly column: FeatureColumn; readonly flags: Uint8Array }[] {
  return program.outputs.flatMap((output, i) =>
    output.inputs.flatMap((place) => {
      const flags = inputs[place]!.laterWindows;
      return flags === null ? [] : [{ column: columns[i]!, flags }];
    }),
  );
}

/** When each label row is read: its own time, or that of its token where rows have them. */
export async function readLabelTimes(
  engine: QueryEngine,
  spine: Spine,
  tokens: readonly VectorToken[] | null,
): Promise<Float64Array> {
  if (tokens !== null) return Float64Array.from(tokens, (token) => token.asOf);
  const times = new Float64Array(spine.rowCount);
  const wanted = [{ as: "int32" }, { as: "number" }] as const;
  for await (const batch of engine.stream("SELECT row, t FROM spine_label", wanted)) {
    const rows = batch.columns[0] as Int32Array;
    const values = batch.columns[1] as Float64Array;
    for (let i = 0; i < batch.rowCount; i++) times[rows[i]!] = values[i]!;
  }
  return times;
}
