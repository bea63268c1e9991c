/** What an answer leaves to be computed beside it. */
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row } from "../schema/value.ts";
import type { ShadowNames } from "./shadow-sight.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** One of the two that are compared. */
export interface ShadowAsk {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly request: Row;
}

export interface ShadowTask extends ShadowNames {
  /** To be called later: throws what compiling the shadow throws. */
  readonly plans: () => { readonly served: ShadowAsk; readonly shadow: ShadowAsk };
}
