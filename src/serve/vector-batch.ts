/**
 * Many vectors in one answer: each is read in one turn of its own, at its own `asOf`; between stretches of
 * them other requests get theirs.
 */
import { setImmediate } from "node:timers/promises";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { answerFeatures, answerMetadata, type AnswerOptions } from "./vector-answer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** Entities in one request. */
export const BATCH_MAX = 5000;
/** About a millisecond of reading. */
export const VECTORS_PER_TURN = 100;

export interface BatchInput {
  readonly inputs: readonly unknown[];
  /** The request field that holds the inputs, for errors. */
  readonly inputName: string;
  readonly keysOf: (input: unknown) => readonly EntityKey[];
  /** Checked request data of the input at an index; absent where the plan takes none. */
  readonly requestOf?: (index: number) => Row;
  /** What identifies an input in its result. */
  readonly label: (input: unknown) => Record<string, unknown>;
}

/** Results in the order of the inputs. One bad key refuses the whole request, and the error says which. */
export async function answerEach(
  reader: FeatureReader,
  plan: VectorPlan,
  options: AnswerOptions,
  batch: BatchInput,
): Promise<Record<string, unknown>[]> {
  const asked = batch.inputs.map((input, i) => {
    try {
      return { keys: batch.keysOf(input), request: batch.requestOf?.(i) };
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      const where = `${batch.inputName}[${i}]${error.where === undefined ? "" : ` ${error.where}`}`;
      throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
    }
  });
  const results: Record<string, unknown>[] = [];
  for (let i = 0; i < asked.length; i++) {
    if (i > 0 && i % VECTORS_PER_TURN === 0) await setImmediate();
    const { keys, request } = asked[i]!;
    const vector = reader.read(plan, keys, request === undefined ? {} : { request });
    results.push({
      ...batch.label(batch.inputs[i]),
      features: answerFeatures(plan, vector),
      metadata: answerMetadata(plan, vector, options),
    });
  }
  return results;
}
