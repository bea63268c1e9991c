/**
 * One on-demand view in a vector's computation: hands its function the inputs, and holds what comes back
 * against the declared outputs.
 *
 * Whatever the function does, the rest of the vector stands (unless the view says `onError: "fail"`), and the
 * same inputs give the same outputs in a request, a training row and the audit: the function is given copies,
 * and no clock and no chance but those of its context.
 */
import { type ErrorCode, messageOf, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { formatViewName, type OnDemandContext, type OnDemandDefinition } from "../define/definition.ts";
import { conformingValue } from "../fold/custom-value.ts";
import { valueHash } from "../fold/value-hash.ts";
import { Status } from "../fold/view-fold.ts";
import { formatType, type Row, type Value } from "../schema/value.ts";
import { failSlot, setSlot, type VectorSlots } from "./vector-slots.ts";

/** A step of a vector's computation. Throws only where a definition asks for it. */
export type VectorStep = (slots: VectorSlots, request: Row, asOf: Micros) => void;

/** Where a view's inputs and outputs lie; all in the order of its definition. */
export interface OnDemandPlaces {
  readonly inputSlots: readonly number[];
  /** Places of its request columns in the request's row. */
  readonly requestPlaces: readonly number[];
  readonly outputSlots: readonly number[];
}

/** The step may throw `ON_DEMAND_FAILED`, `ON_DEMAND_OUTPUT_INVALID` and `ON_DEMAND_INPUT_ERROR` with `onError: "fail"`. */
export function onDemandStep(definition: OnDemandDefinition, places: OnDemandPlaces): VectorStep {
  const { inputs, request: columns, outputs, compute } = definition;
  const { inputSlots, requestPlaces, outputSlots } = places;
  const name = formatViewName(definition);
  const where = placeOf(definition);
  const fail = (slots: VectorSlots, output: number | null, code: ErrorCode, what: string, cause?: unknown): void => {
    slots.failures.push({ view: name, code, message: what, where });
    if (definition.onError === "fail") throw failure(definition, code, what, cause);
    if (output !== null) failSlot(slots, outputSlots[output]!, code, what);
    else for (const slot of outputSlots) failSlot(slots, slot, code, what);
  };

  return (slots, request, asOf) => {
    const given: Value[] = [];
    const named: Record<string, Value> = {};
    for (let i = 0; i < inputs.length; i++) {
      const slot = inputSlots[i]!;
      if (slots.statuses[slot] === Status.ERROR) {
        fail(slots, null, "ON_DEMAND_INPUT_ERROR", `its input "${inputs[i]!.as}" has status ERROR`);
        return;
      }
      given.push((named[inputs[i]!.as] = ownCopy(slots.values[slot]!)));
    }
    for (let i = 0; i < columns.length; i++) {
      given.push((named[columns[i]!.name] = ownCopy(request[requestPlaces[i]!]!)));
    }
    // Outputs are read inside, too: a getter of the user's may throw as well.
    const found: (Value | undefined)[] = [];
    try {
      const result = compute(named, contextOf(asOf, name, given)) as Readonly<Record<string, unknown>> | null;
      for (const output of outputs) found.push(conformingValue(result?.[output.name], output.type, false));
    } catch (error) {
      fail(slots, null, "ON_DEMAND_FAILED", messageOf(error), error);
      return;
    }
    for (let i = 0; i < outputs.length; i++) {
      const value = found[i];
      if (value !== undefined) setSlot(slots, outputSlots[i]!, ownCopy(value));
      else {
        const { name: output, type } = outputs[i]!;
        fail(slots, i, "ON_DEMAND_OUTPUT_INVALID", `its output "${output}" is not of type ${formatType(type)}`);
      }
    }
  };
}

/** `given`: the inputs and request data as they were handed over, whatever the function does to its own. */
function contextOf(asOf: Micros, view: string, given: readonly Value[]): OnDemandContext {
  let seed: number | null = null;
  let drawn = 0;
  return {
    asOf,
    random: () => {
      seed ??= valueHash([view, asOf, ...given]);
      return valueHash([seed, drawn++]) / 2 ** 53;
    },
  };
}

/** Lists are frozen, bytes cannot be: what a function keeps or changes is never what the vector carries. */
function ownCopy(value: Value): Value {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  return Array.isArray(value) ? (Object.freeze(value.map(ownCopy)) as Value) : value;
}

function failure(definition: OnDemandDefinition, code: ErrorCode, what: string, cause: unknown): OnefoldError {
  const where = placeOf(definition);
  return new OnefoldError(code, `on-demand view ${formatViewName(definition)}: ${what}`, {
    hint: 'mend its function under a new version; with onError: "status" the rest of the vector is served all the same',
    ...(where === null ? {} : { where }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function placeOf({ definedAt }: OnDemandDefinition): string | null {
  return definedAt === undefined ? null : `${definedAt.file}:${definedAt.line}`;
}
