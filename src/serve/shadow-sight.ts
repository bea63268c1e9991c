/** Who is shown what shadows of experiments would have said, beside what was served. */
import type { ErrorCode } from "../base/errors.ts";
import type { ValueType } from "../schema/value.ts";
import type { FeatureVector } from "./vector-buffer.ts";

export interface ShadowNames {
  readonly experiment: string;
  /** `service@version`: what was served, and what is computed beside it. */
  readonly served: string;
  readonly shadow: string;
}

/** A version as it was read. */
export interface ShadowRead {
  readonly plan: {
    readonly outputs: readonly {
      readonly name: string;
      readonly type: ValueType;
      readonly inputs: readonly number[];
    }[];
    /** What the inputs are places in; each with the place of its view. */
    readonly features: readonly { readonly view: number }[];
  };
  readonly vector: FeatureVector;
  /** Of the whole read. */
  readonly micros: number;
  /** Of each of the plan's views. */
  readonly viewMicros: readonly number[];
}

/** None of its functions may throw. */
export interface ShadowSight {
  /** Whether an answer is one of the share that is looked at. */
  takes(share: number): boolean;
  /** Both were read in this turn, and are good within it. */
  compared(names: ShadowNames, served: ShadowRead, shadow: ShadowRead): void;
  /** The shadow could not be computed. */
  failed(names: ShadowNames, code: ErrorCode): void;
  /** Too many waited, or it waited for too long. */
  dropped(names: ShadowNames): void;
}
