/**
 * A route's answer with one feature vector: as data for callers in this process, as text for the wire. Each
 * is made only when it is asked for, which must be within the turn that read the vector: the plan fills it anew
 * at its next read.
 */
import type { Clock } from "../base/clock.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { featuresText } from "./features-text.ts";
import type { FetchedStates } from "./ports.ts";
import type { RouteAnswer } from "./route.ts";
import { answerFeatures, answerMetadata, type AnswerOptions, answerTiming } from "./vector-answer.ts";
import type { VectorValues } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** A class, because literals with accessors and spreads cost as much here as the whole text. */
class VectorRouteAnswer implements RouteAnswer {
  readonly status = 200;
  readonly headers: Readonly<Record<string, string>>;
  readonly #label: Readonly<Record<string, unknown>>;
  readonly #plan: VectorPlan;
  readonly #vector: VectorValues;
  readonly #timing: Readonly<Record<string, unknown>>;
  readonly #metadata: Readonly<Record<string, unknown>>;

  constructor(
    label: Readonly<Record<string, unknown>>,
    plan: VectorPlan,
    vector: VectorValues,
    timing: Readonly<Record<string, unknown>>,
    metadata: Readonly<Record<string, unknown>>,
  ) {
    const { token } = metadata;
    this.headers = typeof token === "string" ? { "x-onefold-token": token } : NO_HEADERS;
    this.#label = label;
    this.#plan = plan;
    this.#vector = vector;
    this.#timing = timing;
    this.#metadata = metadata;
  }

  get body(): Readonly<Record<string, unknown>> {
    const features = answerFeatures(this.#plan, this.#vector);
    return { ...this.#label, features, metadata: { ...this.#timing, ...this.#metadata } };
  }

  jsonText(): string {
    const features = featuresText(this.#plan, this.#vector);
    const metadata = `${begun(this.#timing)},${JSON.stringify(this.#metadata).slice(1)}`;
    return `${begun(this.#label)},"features":${features},"metadata":${metadata}}`;
  }
}

/** The JSON text of an object that more fields follow. */
function begun(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(fields).slice(0, -1);
}

/**
 * `label` is what comes before the features, and has at least one field; the work on the request began at
 * `startMs`.
 */
export function vectorRouteAnswer(
  label: Readonly<Record<string, unknown>>,
  plan: VectorPlan,
  vector: VectorValues,
  options: AnswerOptions,
  startMs: number,
  clock: Clock,
): RouteAnswer {
  const metadata = answerMetadata(plan, vector, options);
  return new VectorRouteAnswer(label, plan, vector, answerTiming(startMs, clock), metadata);
}

/**
 * What `answer` gives in this turn, where states are read in it; else once they were fetched, with its text made in
 * the same turn, since others may read with the plan before it is asked for.
 */
export function answerOnceFetched(
  reader: FeatureReader,
  plan: VectorPlan,
  keys: readonly EntityKey[],
  answer: (states: FetchedStates | null) => RouteAnswer,
): RouteAnswer | Promise<RouteAnswer> {
  if (reader.fetch === null) return answer(null);
  return reader.fetch([{ plan, keys }]).then((states) => settled(answer(states)));
}

function settled(answer: RouteAnswer): RouteAnswer {
  const { status, headers = NO_HEADERS } = answer;
  const text = answer.jsonText === undefined ? JSON.stringify(answer.body) : answer.jsonText();
  return {
    status,
    headers,
    get body() {
      return JSON.parse(text) as unknown;
    },
    jsonText: () => text,
  };
}
