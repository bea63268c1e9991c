/**
 * Is shown a part of what is folded: of some events the states of their entities, just folded. Whoever folds counts `left`
 * down, one an event, so that all but a few events cost one subtraction.
 */
import type { ViewDefinition } from "../define/definition.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";

export interface FoldSight {
  /** Events until the next of which the states are shown. */
  left: number;
  /** One of its states; good within the turn. Must not throw. */
  see(view: FoldedView, state: ViewState): void;
  /** All of them were shown: sets `left` anew. */
  pass(): void;
  /** Some entity is forgotten: so is what was seen and is not kept yet. */
  forget?(): void;
}

/** One object for as long as the view is folded. */
export interface FoldedView {
  readonly definition: ViewDefinition;
  readonly fold: ViewFold;
}
