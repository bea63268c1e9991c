/**
 * A training set that a rule has asked for, on its way: started, built, and then the webhook of the rule is told. Plain
 * data, stored at each step, so that it goes on where it was cut short.
 */
import type { RetrainLabels } from "../../define/alert-definition.ts";
import type { Found } from "./notice.ts";

export interface Training {
  readonly id: string;
  readonly rule: string;
  readonly service: string;
  readonly labels: RetrainLabels;
  readonly boundary: "inclusive" | "exclusive";
  readonly to: readonly string[];
  readonly startedMicros: number;
  /** What drifted, and by how much. */
  readonly found: readonly Found[];
  /** Null until it is being built. */
  readonly trainingSet: string | null;
  /** Attempts that failed. */
  readonly failures: number;
  readonly nextMicros: number;
  readonly lastError: string | null;
}

/** How a training set stands, of those who build it. */
export type SetState =
  | { readonly state: "under-way" }
  | { readonly state: "done"; readonly rows: number; readonly path: string }
  /** `isFinal`: to try again would change nothing. */
  | { readonly state: "failed"; readonly error: string; readonly isFinal: boolean };

/** Who builds training sets. Either may throw: then it is asked again later. */
export interface SetBuilder {
  /** The id of the training set. */
  start(training: Pick<Training, "service" | "labels" | "boundary">, nowMicros: number): Promise<string>;
  look(trainingSet: string): Promise<SetState>;
}
