/**
 * A route's answer with one feature vector: as data for callers in this process, as bytes for the wire. Each
 * is made only when it is asked for, which must be within the turn that read the vector: the plan fills it anew
 * at its next read.
 *
 * What is kept of an answer is its bytes without the times and the states' age, which differ each time: cut in two at their place.
 */
import type { Clock } from "../base/clock.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import { type AnswerBytes, writtenText } from "./answer-bytes.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { writeFeatures } from "./features-bytes.ts";
import { type Asked, copyOfAsked, type KeptAnswer } from "./kept-answers.ts";
import { labelText } from "./label-text.ts";
import type { JsonSchema, RouteAnswer, WrittenAnswer } from "./route.ts";
import { writeSnapshotAge } from "./snapshot-age.ts";
import { writeMicros, writeThousandths } from "./time-bytes.ts";
import {
  answerFeatures,
  answerMetadata,
  type AnswerOptions,
  isPlain,
  isUsual,
  latencyMicros,
  metadataBehindTime,
} from "./vector-answer.ts";
import type { VectorPlan } from "./vector-plan.ts";
import { NO_HEADERS } from "./wire-answer.ts";

/** A vector that is read and answered in one turn: the plan's. */
export interface AnsweredRead {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly reader: FeatureReader;
  readonly options: AnswerOptions;
  /** When the work on the request began. */
  readonly startMs: number;
  readonly clock: Clock;
  /** The bytes that asked, good for this turn, where the same answer may be given to them again. */
  readonly bytes?: Asked | undefined;
}

const TOKEN_HEADER = "x-onefold-token";

/** Of routes that answer with one vector. */
export const tokenHeaders: Readonly<Record<string, JsonSchema>> = {
  [TOKEN_HEADER]: { type: "string", description: "metadata.token, where that is asked for" },
};

/** A class, because literals with accessors and spreads cost as much here as the whole text. */
class VectorRouteAnswer implements WrittenAnswer {
  readonly status = 200;
  readonly headers: Readonly<Record<string, string>>;
  readonly #label: Readonly<Record<string, unknown>>;
  readonly #read: AnsweredRead;
  readonly #latencyMicros: number;
  readonly #timestamp: Micros;
  /** Null where nothing of it is unusual. */
  readonly #metadata: Readonly<Record<string, unknown>> | null;
  /** Where it was written, and in that the times. */
  #start = 0;
  #split = 0;
  #splitEnd = 0;
  #written: AnswerBytes | null = null;

  constructor(label: Readonly<Record<string, unknown>>, read: AnsweredRead) {
    const { plan, options, startMs, clock } = read;
    this.#latencyMicros = latencyMicros(startMs);
    this.#timestamp = clock.now();
    this.#metadata = isUsual(plan, plan.vector, options) ? null : metadataBehindTime(plan, plan.vector, options);
    const token = this.#metadata?.["token"];
    this.headers = typeof token === "string" ? { [TOKEN_HEADER]: token } : NO_HEADERS;
    this.#label = label;
    this.#read = read;
  }

  get body(): Readonly<Record<string, unknown>> {
    const { plan, options } = this.#read;
    const { vector } = plan;
    const timing = { latency_ms: this.#latencyMicros / 1000, timestamp: formatMicros(this.#timestamp) };
    const metadata = { ...timing, ...answerMetadata(plan, vector, options) };
    return { ...this.#label, features: answerFeatures(plan, vector), metadata };
  }

  writeJson(out: AnswerBytes): void {
    const { plan } = this.#read;
    const label = labelText(this.#label, "body");
    this.#start = out.length;
    out.text(label);
    out.all(FEATURES);
    writeFeatures(plan, plan.vector, out);
    out.all(METADATA);
    this.#split = out.length;
    writeTimes(this.#latencyMicros, this.#timestamp, plan.vector.asOf, out);
    writeSnapshotAge(plan, plan.vector.asOf, out);
    this.#splitEnd = out.length;
    if (this.#metadata === null) out.all(NOTHING_MISSING);
    else out.text(`,${JSON.stringify(this.#metadata).slice(1)}}`);
    this.#written = out;
  }

  keep(asked: Asked): void {
    const { reader, options } = this.#read;
    const written = this.#written;
    if (written === null || !isPlain(options)) return;
    const [bytes, start, end] = [written.block, this.#start, written.length];
    reader.keepAnswer(asked, this.#read, { bytes, start, end, split: this.#split, splitEnd: this.#splitEnd });
  }
}

const FEATURES = asciiBytes(',"features":');
const METADATA = asciiBytes(',"metadata":{"latency_ms":');
const TIMESTAMP = asciiBytes(',"timestamp":"');
const AS_OF = asciiBytes('","as_of":"');
const TIMES_END = asciiBytes('"');
const NOTHING_MISSING = asciiBytes(',"missing_features":[]}}');

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

/** What follows `"latency_ms":`, up to and with `as_of`. */
function writeTimes(latency: number, timestamp: Micros, asOf: Micros, out: AnswerBytes): void {
  writeThousandths(latency, out);
  out.all(TIMESTAMP);
  writeMicros(timestamp, out);
  out.all(AS_OF);
  writeMicros(asOf, out);
  out.all(TIMES_END);
}

/**
 * Reads and answers in this turn, where states are read in it; else once they were fetched, with the text made in the
 * turn that reads, since others may read with the plan before it is asked for. `label` is what comes before the features,
 * and has at least one field.
 */
export function vectorRouteAnswer(
  label: Readonly<Record<string, unknown>>,
  asked: AnsweredRead,
  request?: Row,
): RouteAnswer | Promise<RouteAnswer> {
  const { plan, keys, reader, options } = asked;
  const { consumer = "", exposure } = options;
  const of = exposure === undefined ? { consumer } : { consumer, exposure };
  const given = request === undefined ? of : { request, ...of };
  if (reader.fetch !== null) {
    const here = reader.fetchHere([{ plan, keys }]);
    if (here !== null) {
      reader.read(plan, keys, { ...given, states: here });
      return new VectorRouteAnswer(label, asked);
    }
    const bytes = asked.bytes && isPlain(options) ? copyOfAsked(asked.bytes) : null;
    return reader.fetch([{ plan, keys }]).then((states) => {
      reader.read(plan, keys, { ...given, states });
      return settled(new VectorRouteAnswer(label, asked), bytes);
    });
  }
  reader.read(plan, keys, given);
  return new VectorRouteAnswer(label, asked);
}

function settled(answer: VectorRouteAnswer, bytes: Asked | null): RouteAnswer {
  const { status, headers } = answer;
  const text = writtenText((out) => {
    answer.writeJson(out);
    if (bytes !== null) answer.keep(bytes);
  });
  return {
    status,
    headers,
    get body() {
      return JSON.parse(text) as unknown;
    },
    jsonText: () => text,
  };
}

/** A route's `repeat`: the kept answer to what is asked, as it is now. One answer is given again and again. */
export function vectorRepeater(reader: FeatureReader): (asked: Asked, startMs: number) => WrittenAnswer | null {
  const answer = new RepeatedAnswer();
  return (asked, startMs) => {
    answer.found = reader.findAnswer(asked, startMs);
    return answer.found === null ? null : answer;
  };
}

class RepeatedAnswer implements WrittenAnswer {
  readonly status = 200;
  readonly headers = NO_HEADERS;
  found: KeptAnswer | null = null;

  get body(): unknown {
    return JSON.parse(writtenText((out) => this.writeJson(out)));
  }

  writeJson(out: AnswerBytes): void {
    const { bytes, start, split, end, asOf, durationMs, plan } = this.found!;
    out.bytes(bytes, start, split);
    writeTimes(Math.round(1000 * durationMs), asOf, asOf, out);
    writeSnapshotAge(plan, asOf, out);
    out.bytes(bytes, split, end);
  }
}
