/**
 * Ids of training sets that their callers chose, so that they can cancel a set though the answer to its start never came: by
 * then that request may be done, under way, or yet to come. An id that was cancelled starts nothing any more.
 */
import { OnefoldError } from "../../base/errors.ts";

/** Callers choose them; who starts a set does so at once, or never. */
const CANCELLED_MAX = 10_000;
/** Of what a path may be made of, and no longer than it has to be. */
const CHOSEN_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class ChosenIds {
  readonly #cancelled = new Set<string>();

  cancel(id: string): void {
    if (!CHOSEN_ID.test(id)) return;
    this.#cancelled.delete(id);
    this.#cancelled.add(id);
    if (this.#cancelled.size > CANCELLED_MAX) this.#cancelled.delete(this.#cancelled.values().next().value!);
  }

  /** Throws `CANCELLED`. */
  requireNotCancelled(id: string): void {
    if (!this.#cancelled.has(id)) return;
    throw new OnefoldError("CANCELLED", `the training set ${id} was cancelled before it was started`, {
      hint: "start another one, under an id of its own",
    });
  }
}

/** Throws `TRAINING_SET_EXISTS`. */
export function requireNewId(id: string, isKnown: boolean): void {
  if (!isKnown) return;
  throw new OnefoldError("TRAINING_SET_EXISTS", `there is a training set ${id}, or its labels are being received`, {
    hint: `GET /training-sets/${id} says how it stands; choose another id for another set`,
  });
}
