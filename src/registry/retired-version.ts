/** A version that was retired, and what is asked to retire one. */
import type { Definition } from "../define/definition.ts";
import type { AliasedKind } from "./alias-moves.ts";

export interface RetiredVersion {
  readonly definition: Definition;
  readonly fingerprint: string;
  /** RFC 3339, as is the next. */
  readonly createdAt: string;
  readonly retiredAt: string;
  readonly by: string;
}

export interface AskedRetirement {
  /** `name@1`. */
  readonly target: string;
  /** Wanted where a view and a service have one name. */
  readonly kind?: AliasedKind;
  readonly by: string;
}
