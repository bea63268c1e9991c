/**
 * Many vectors in one answer: each is read in one turn of its own, at its own `asOf`; between stretches of
 * them other requests get theirs. The answer is put together as bytes, of elements that may be kept ones.
 */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import { AnswerBytes } from "./answer-bytes.ts";
import { chosenOf, type ChosenVector, isExperiment, type NamedPlan } from "./experiment-plan.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ReadOptions } from "./feature-vector.ts";
import { writeFeatures } from "./features-bytes.ts";
import { askedOf } from "./kept-elements.ts";
import { labelText } from "./label-text.ts";
import type { FetchedStates } from "./ports.ts";
import type { RouteAnswer } from "./route.ts";
import { writeSnapshotAge } from "./snapshot-age.ts";
import { writeMicros } from "./time-bytes.ts";
import { answerMetadata, type AnswerOptions, answerTiming, isPlain, metadataBehindTime } from "./vector-answer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** Entities in one request. */
export const BATCH_MAX = 5000;
/** About a millisecond of reading. */
export const VECTORS_PER_TURN = 100;

const NO_REQUEST: Row = Object.freeze([]);
const PLAIN: AnswerOptions = Object.freeze({ full: false, token: false });

export interface Batch {
  readonly reader: FeatureReader;
  readonly named: NamedPlan;
  readonly options: AnswerOptions;
  readonly clock: Clock;
  /** When the work on the request began. */
  readonly startMs: number;
  /** What comes before the results; has at least one field. */
  readonly head: Readonly<Record<string, unknown>>;
  readonly inputs: readonly unknown[];
  /** The request field that holds the inputs, for errors. */
  readonly inputName: string;
  readonly keysOf: (input: unknown) => readonly EntityKey[];
  /** Checked request data of the input at an index; absent where the plan takes none. */
  readonly requestOf?: (index: number) => Row;
  /** What identifies an input in its result; has at least one field. */
  readonly label: (input: unknown) => Record<string, unknown>;
}

/**
 * A route's answer with the results in the order of the inputs: in this turn, where they are few and states are read in it.
 * One bad key refuses the whole request, and the error says which.
 */
export function answerBatch(batch: Batch): RouteAnswer | Promise<RouteAnswer> {
  const { reader, inputs } = batch;
  const asked = inputs.map((input, i) => chosenAt(batch, input, i));
  if (reader.fetch !== null) return reader.fetch(asked).then((states) => answerInTurns(batch, asked, states));
  if (asked.length > VECTORS_PER_TURN) return answerInTurns(batch, asked, null);
  const out = begun(batch);
  addResults(batch, { asked, states: null, out }, 0, asked.length);
  return ended(batch, out);
}

interface AskedBatch {
  readonly asked: readonly ChosenVector[];
  readonly states: FetchedStates | null;
  readonly out: AnswerBytes;
}

function chosenAt({ named, keysOf, requestOf, inputName }: Batch, input: unknown, i: number): ChosenVector {
  try {
    return chosenOf(named, keysOf(input), requestOf?.(i) ?? NO_REQUEST);
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    const where = `${inputName}[${i}]${error.where === undefined ? "" : ` ${error.where}`}`;
    throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
  }
}

async function answerInTurns(
  batch: Batch,
  asked: readonly ChosenVector[],
  states: FetchedStates | null,
): Promise<RouteAnswer> {
  const out = begun(batch);
  for (let from = 0; from < asked.length; from += VECTORS_PER_TURN) {
    if (from > 0) await setImmediate();
    addResults(batch, { asked, states, out }, from, Math.min(asked.length, from + VECTORS_PER_TURN));
  }
  return ended(batch, out);
}

function addResults(batch: Batch, { asked, states, out }: AskedBatch, from: number, to: number): void {
  const { reader, named, options, inputs, inputName, label } = batch;
  const { consumer = "" } = options;
  const mayBeKept = states === null && isPlain(options) && !isExperiment(named) && named.request.length === 0;
  for (let i = from; i < to; i++) {
    if (i > 0) out.text(",");
    out.text(labelText(label(inputs[i]), `${inputName}[${i}]`));
    const { plan, keys, request, exposure } = asked[i]!;
    if (mayBeKept) addKeptOrRead(reader, { plan, keys, consumer }, out);
    else {
      const of = exposure === undefined ? {} : { exposure };
      const given = { consumer, request, ...of, ...(states === null ? {} : { states }) };
      readWhole(reader, { plan, keys, consumer }, { ...options, ...of }, given, out);
    }
  }
}

interface Element {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly consumer: string;
}

/** The fields of a result behind its label, and its end. */
function readWhole(
  reader: FeatureReader,
  { plan, keys }: Element,
  options: AnswerOptions,
  given: ReadOptions,
  out: AnswerBytes,
): void {
  const vector = reader.read(plan, keys, given);
  out.text(',"features":');
  writeFeatures(plan, vector, out);
  out.text(`,"metadata":${JSON.stringify(answerMetadata(plan, vector, options))}}`);
}

/** The same of values alone. What is kept is the text without `as_of`, cut in two at its place. */
function addKeptOrRead(reader: FeatureReader, { plan, keys, consumer }: Element, out: AnswerBytes): void {
  const asked = askedOf(plan, "json", keys, consumer);
  const found = asked === null ? null : reader.findAnswer(asked);
  if (found !== null) {
    const { bytes, start, split, end, asOf } = found;
    out.bytes(bytes, start, split);
    writeMoment(plan, asOf, out);
    out.bytes(bytes, split, end);
    return;
  }
  const vector = reader.read(plan, keys, { consumer });
  const start = out.length;
  out.text(',"features":');
  writeFeatures(plan, vector, out);
  out.text(',"metadata":{"as_of":"');
  const split = out.length;
  writeMoment(plan, vector.asOf, out);
  const splitEnd = out.length;
  out.text(`,${JSON.stringify(metadataBehindTime(plan, vector, PLAIN)).slice(1)}}`);
  if (asked === null) return;
  reader.keepAnswer(asked, { plan, keys }, { bytes: out.block, start, end: out.length, split, splitEnd });
}

/** What differs each time: the rest of `as_of`, and what comes behind it. */
function writeMoment(plan: VectorPlan, asOf: Micros, out: AnswerBytes): void {
  writeMicros(asOf, out);
  out.text('"');
  writeSnapshotAge(plan, asOf, out);
}

function begun({ head }: Batch): AnswerBytes {
  const out = new AnswerBytes();
  out.text(`${JSON.stringify(head).slice(0, -1)},"results":[`);
  return out;
}

function ended({ startMs, clock }: Batch, out: AnswerBytes): RouteAnswer {
  out.text(`],"metadata":${JSON.stringify(answerTiming(startMs, clock))}}`);
  return {
    status: 200,
    get body(): unknown {
      return JSON.parse(out.whole().toString()) as unknown;
    },
    jsonBytes: () => out.lend(),
  };
}
