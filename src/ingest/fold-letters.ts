/**
 * Dead letters of the fold: an event that a view could not take, told in the same words however it came to be
 * folded: live, again after a restart, by a rebuild, or for a view that was registered after it.
 *
 * A letter's id names the view and the event, so that folding the event again adds no second one. A live event is
 * named by its offset. The offsets of history are given out anew in every epoch, so an event of history is named
 * by what it holds, and by how many the same stand before it.
 */
import { createHash } from "node:crypto";
import { asOnefoldError, type ErrorCode, messageOf } from "../base/errors.ts";
import { formatViewName, type SourceDefinition, type ViewDefinition } from "../define/definition.ts";
import type { DerivedFaults, ViewDerivation } from "../fold/derive.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import type { EventRow } from "../offline-store/event-rows.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { labelOf, type Row, type Value } from "../schema/value.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import { jsonData } from "./json-data.ts";

/** Why a view cannot take an event. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** The entity that an event is of, or why the view cannot say it. */
export function entityOf(
  fold: ViewFold,
  derivation: ViewDerivation | null,
  { row, faults }: { readonly row: Row; readonly faults?: DerivedFaults },
): { readonly key: EntityKey } | { readonly refusal: Refusal } {
  const fault = faults === undefined ? null : (derivation?.faultIn(faults) ?? null);
  if (fault !== null) return { refusal: poison(messageOf(fault.error)) };
  try {
    return { key: fold.keyOf(row) };
  } catch (error) {
    const { code, message } = asOnefoldError(error);
    return { refusal: { code, message } };
  }
}

export function poison(message: string): Refusal {
  return { code: "EVENT_POISON", message };
}

/** The letters of one view. */
export class FoldLetters {
  readonly #columnNames: readonly string[];
  readonly #view: string;
  readonly #prefix: string;

  /** `draft` tells the definitions apart that a draft has had: what poisoned one may not poison the next. */
  constructor(source: SourceDefinition, view: ViewDefinition, draft: string | undefined) {
    this.#columnNames = source.columns.map(labelOf);
    this.#view = formatViewName(view);
    this.#prefix = foldLetterPrefix(this.#view, draft);
  }

  ofLive(offset: number, row: Row, refusal: Refusal): NewDeadLetter {
    return this.#letter(String(offset), offset, this.#payload(row), refusal);
  }

  /** Of an event of history, or a live one that came from the archive. */
  ofArchived(event: EventRow, refusal: Refusal): NewDeadLetter {
    const { offset, stored, twin } = event;
    if (offset >= 0) return this.ofLive(offset, stored, refusal);
    const payload = this.#payload(stored);
    // Without nulls: a column that the source gains later does not make it another event.
    const present = Object.entries(payload).filter(([, value]) => value !== null);
    const content = JSON.stringify([event.eventTime, event.knownTime, event.id, jsonData(present), twin]);
    const name = createHash("sha256").update(content).digest("hex").slice(0, 32);
    return this.#letter(`history-${name}`, offset, payload, refusal);
  }

  #payload(row: Row): Record<string, Value> {
    return Object.fromEntries(this.#columnNames.map((name, i) => [name, row[i] ?? null]));
  }

  #letter(event: string, offset: number, payload: unknown, refusal: Refusal): NewDeadLetter {
    return { id: `${this.#prefix}${event}`, stage: "fold", view: this.#view, offset, ...refusal, payload };
  }
}

/** What the ids of a view's letters begin with. */
export function foldLetterPrefix(view: string, draft: string | undefined): string {
  return draft === undefined ? `fold:${view}:` : `fold:${view}~${draft}:`;
}
