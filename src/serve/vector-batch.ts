/**
 * Many vectors in one answer: each is read in one turn of its own, at its own `asOf`; between stretches of
 * them other requests get theirs. The answer is put together as text, of elements that may be kept ones.
 */
import { setImmediate } from "node:timers/promises";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import { chosenOf, isExperiment, type NamedPlan } from "./experiment-plan.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ReadOptions } from "./feature-vector.ts";
import { featuresText } from "./features-text.ts";
import { ASCII } from "./kept-answers.ts";
import { askedOf } from "./kept-elements.ts";
import type { RouteAnswer } from "./route.ts";
import { answerMetadata, type AnswerOptions, type AnswerTiming, isPlain } from "./vector-answer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** Entities in one request. */
export const BATCH_MAX = 5000;
/** About a millisecond of reading. */
export const VECTORS_PER_TURN = 100;

const NO_REQUEST: Row = Object.freeze([]);

export interface BatchInput {
  readonly inputs: readonly unknown[];
  /** The request field that holds the inputs, for errors. */
  readonly inputName: string;
  readonly keysOf: (input: unknown) => readonly EntityKey[];
  /** Checked request data of the input at an index; absent where the plan takes none. */
  readonly requestOf?: (index: number) => Row;
  /** What identifies an input in its result; has at least one field. */
  readonly label: (input: unknown) => Record<string, unknown>;
}

/** Results as JSON texts, in the order of the inputs. One bad key refuses the whole request, and the error says which. */
export async function answerEach(
  reader: FeatureReader,
  named: NamedPlan,
  options: AnswerOptions,
  batch: BatchInput,
): Promise<string[]> {
  const asked = batch.inputs.map((input, i) => {
    try {
      return chosenOf(named, batch.keysOf(input), batch.requestOf?.(i) ?? NO_REQUEST);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      const where = `${batch.inputName}[${i}]${error.where === undefined ? "" : ` ${error.where}`}`;
      throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
    }
  });
  const states = reader.fetch === null ? null : await reader.fetch(asked);
  const { consumer = "" } = options;
  const mayBeKept = states === null && isPlain(options) && !isExperiment(named) && named.request.length === 0;
  const results: string[] = [];
  for (let i = 0; i < asked.length; i++) {
    if (i > 0 && i % VECTORS_PER_TURN === 0) await setImmediate();
    const { plan, keys, request, exposure } = asked[i]!;
    const read = mayBeKept
      ? keptOrRead(reader, plan, keys, consumer)
      : readWhole(reader, plan, keys, exposure === undefined ? options : { ...options, exposure }, {
          consumer,
          request,
          ...(exposure === undefined ? {} : { exposure }),
          ...(states === null ? {} : { states }),
        });
    results.push(`${JSON.stringify(batch.label(batch.inputs[i])).slice(0, -1)},${read}`);
  }
  return results;
}

/** The fields of a result behind its label, and its end. */
function readWhole(
  reader: FeatureReader,
  plan: VectorPlan,
  keys: readonly EntityKey[],
  options: AnswerOptions,
  given: ReadOptions,
): string {
  const vector = reader.read(plan, keys, given);
  return `"features":${featuresText(plan, vector)},"metadata":${JSON.stringify(answerMetadata(plan, vector, options))}}`;
}

/** The same of values alone. What is kept is the text without `as_of`, cut in two at its place. */
function keptOrRead(reader: FeatureReader, plan: VectorPlan, keys: readonly EntityKey[], consumer: string): string {
  const asked = askedOf(plan, "json", keys, consumer);
  const found = reader.findAnswer(asked);
  if (found !== null) {
    const { bytes, start, split, end, asOf, note } = found;
    const encoding = note === ASCII ? "latin1" : "utf8";
    return bytes.toString(encoding, start, split) + formatMicros(asOf) + bytes.toString(encoding, split, end);
  }
  const vector = reader.read(plan, keys, { consumer });
  const { as_of, ...others } = answerMetadata(plan, vector, { full: false, token: false });
  const before = `"features":${featuresText(plan, vector)},"metadata":{"as_of":"`;
  const after = `",${JSON.stringify(others).slice(1)}}`;
  const bytes = Buffer.from(before + after);
  const note = bytes.length === before.length + after.length ? ASCII : 0;
  reader.keepAnswer(asked, { plan, keys, bytes, split: Buffer.byteLength(before), note });
  return before + (as_of as string) + after;
}

/** A route's answer with the results; `label` is what comes before them, and has at least one field. */
export function batchRouteAnswer(
  label: Readonly<Record<string, unknown>>,
  results: readonly string[],
  timing: AnswerTiming,
): RouteAnswer {
  const begun = JSON.stringify(label).slice(0, -1);
  const text = `${begun},"results":[${results.join(",")}],"metadata":${JSON.stringify(timing)}}`;
  return {
    status: 200,
    get body(): unknown {
      return JSON.parse(text) as unknown;
    },
    jsonText: () => text,
  };
}
