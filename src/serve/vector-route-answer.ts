/**
 * A route's answer with one feature vector: as data for callers in this process, as text for the wire. Each
 * is made only when it is asked for, which must be within the turn that read the vector: the plan fills it anew
 * at its next read.
 *
 * What is kept of an answer is its text without the times, which differ each time: cut in two at their place.
 */
import type { Clock } from "../base/clock.ts";
import { formatMicros } from "../base/micros.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import { lentBytes } from "./answer-bytes.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { featuresText } from "./features-text.ts";
import { ASCII, type Asked } from "./kept-answers.ts";
import { labelText } from "./label-text.ts";
import type { RouteAnswer, WireAnswer } from "./route.ts";
import {
  answerFeatures,
  answerMetadata,
  type AnswerOptions,
  type AnswerTiming,
  answerTiming,
  isPlain,
  latencyMs,
} from "./vector-answer.ts";
import type { VectorPlan } from "./vector-plan.ts";
import { JSON_TYPE, NO_HEADERS } from "./wire-answer.ts";

/** A vector that is read and answered in one turn: the plan's. */
export interface AnsweredRead {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly reader: FeatureReader;
  readonly options: AnswerOptions;
  /** When the work on the request began. */
  readonly startMs: number;
  readonly clock: Clock;
}

/** A class, because literals with accessors and spreads cost as much here as the whole text. */
class VectorRouteAnswer implements RouteAnswer {
  readonly status = 200;
  readonly headers: Readonly<Record<string, string>>;
  readonly #label: Readonly<Record<string, unknown>>;
  readonly #read: AnsweredRead;
  readonly #timing: AnswerTiming;
  readonly #metadata: Readonly<Record<string, unknown>>;
  #before = "";
  #after = "";

  constructor(label: Readonly<Record<string, unknown>>, read: AnsweredRead) {
    this.#metadata = answerMetadata(read.plan, read.plan.vector, read.options);
    this.#timing = answerTiming(read.startMs, read.clock);
    const { token } = this.#metadata;
    this.headers = typeof token === "string" ? { "x-onefold-token": token } : NO_HEADERS;
    this.#label = label;
    this.#read = read;
  }

  get body(): Readonly<Record<string, unknown>> {
    const { plan } = this.#read;
    const features = answerFeatures(plan, plan.vector);
    return { ...this.#label, features, metadata: { ...this.#timing, ...this.#metadata } };
  }

  jsonText(): string {
    const { plan } = this.#read;
    const { as_of, ...others } = this.#metadata;
    const { latency_ms, timestamp } = this.#timing;
    this.#before = `${labelText(this.#label, "body")},"features":${featuresText(plan, plan.vector)},"metadata":{"latency_ms":`;
    this.#after = `,${JSON.stringify(others).slice(1)}}`;
    return this.#before + timesText(latency_ms, timestamp, as_of as string) + this.#after;
  }

  /** After its text was made. */
  keep(asked: Asked): void {
    const { plan, keys, reader, options } = this.#read;
    if (!isPlain(options)) return;
    reader.keepAnswer(asked, { plan, keys }, () => {
      const text = this.#before + this.#after;
      const bytes = lentBytes(text);
      const isAscii = bytes.length === text.length;
      const split = isAscii ? this.#before.length : Buffer.byteLength(this.#before);
      return { bytes, split, note: isAscii ? ASCII : 0 };
    });
  }
}

/** What follows `"latency_ms":`, up to and with `as_of`. */
function timesText(latency: number, timestamp: string, asOf: string): string {
  return `${latency},"timestamp":"${timestamp}","as_of":"${asOf}"`;
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
    return reader.fetch([{ plan, keys }]).then((states) => {
      reader.read(plan, keys, { ...given, states });
      return settled(new VectorRouteAnswer(label, asked));
    });
  }
  reader.read(plan, keys, given);
  return new VectorRouteAnswer(label, asked);
}

function settled(answer: VectorRouteAnswer): RouteAnswer {
  const { status, headers } = answer;
  const text = answer.jsonText();
  return {
    status,
    headers,
    get body() {
      return JSON.parse(text) as unknown;
    },
    jsonText: () => text,
  };
}

/** The kept answer to what is asked, as it is now. The work on the request began at `startMs`. */
export function repeatedAnswer(reader: FeatureReader, asked: Asked, startMs: number): WireAnswer | null {
  const found = reader.findAnswer(asked);
  if (found === null) return null;
  const { bytes, start, split, end, note } = found;
  const now = formatMicros(found.asOf);
  const times = timesText(latencyMs(startMs), now, now);
  const encoding = note === ASCII ? "latin1" : "utf8";
  const text = bytes.toString(encoding, start, split) + times + bytes.toString(encoding, split, end);
  return {
    status: 200,
    headers: NO_HEADERS,
    contentType: JSON_TYPE,
    text,
    bytes: end - start + times.length,
    code: null,
  };
}
