/**
 * One line of the serving log: a vector as it was served, and all that is needed to compute it again.
 */
import { type VectorToken } from "./vector-token.ts";
import { type Value } from "./value.ts";

export interface ServedVector {
  readonly service: string;
  /** Canonical key of the entity by entity name. */
  readonly keys: Readonly<Record<string, string>>;
  readonly token: VectorToken;
  /** Values and status codes in the order of the service's features. */
  readonly values: readonly Value[];
  readonly statuses: readonly number[];
}
