/**
 * What is known of all states of a space together: how many entities there are, how large their states are, and when
 * they had their last events. Kept up as states are written, and stored in the commit that writes them: what is read
 * after a crash is that of the very states that are there.
 *
 *     totals/<space>/head    {horizon, bytes}
 *     totals/<space>/<level>  cells of the level (event-time-cells.ts)
 */
import { lastEventTimeIn } from "../fold/state-codec.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace } from "../online-store/online-store.ts";
import { type CountBefore, EventTimeCells } from "./event-time-cells.ts";

type Store = Pick<LocalOnlineStore, "getMeta" | "scanMeta">;

interface Head {
  readonly horizon: number;
  readonly bytes: number;
}

/** All that is stored of a space's totals, as removals: for when its states are dropped. */
export function forgetTotals(store: Pick<LocalOnlineStore, "scanMeta">, space: StateSpace): MetaWrite[] {
  return Array.from(store.scanMeta(prefixOf(space)), ({ name }) => ({ name, bytes: null }));
}

/** The same of all spaces of a view, `name@version`. */
export function forgetTotalsOf(store: Pick<LocalOnlineStore, "scanMeta">, view: string): MetaWrite[] {
  return Array.from(store.scanMeta(`totals/${view}#`), ({ name }) => ({ name, bytes: null }));
}

export class SpaceTotals {
  readonly #space: StateSpace;
  readonly #cells: EventTimeCells;
  #bytes: number;
  #isChanged = false;

  private constructor(space: StateSpace, { horizon, bytes }: Head) {
    this.#space = space;
    this.#cells = new EventTimeCells(horizon);
    this.#bytes = bytes;
  }

  /** Of a space without states. */
  static empty(space: StateSpace, now: number): SpaceTotals {
    return new SpaceTotals(space, { horizon: now, bytes: 0 });
  }

  /** As they are stored. Where there are none, as with an earlier version's states, these are counted one by one. */
  static open(
    store: Store,
    space: StateSpace,
    now: number,
    states: () => Iterable<{ readonly bytes: Uint8Array }>,
  ): SpaceTotals {
    const stored = store.getMeta(headName(space));
    if (stored === null) return SpaceTotals.#count(states(), space, now);
    const totals = new SpaceTotals(space, JSON.parse(Buffer.from(stored).toString("utf8")) as Head);
    const prefix = prefixOf(space);
    for (const { name, bytes } of store.scanMeta(prefix)) {
      if (name === headName(space)) continue;
      const cells = JSON.parse(Buffer.from(bytes).toString("utf8")) as number[];
      totals.#cells.load(Number(name.slice(prefix.length)), cells);
    }
    return totals;
  }

  static #count(states: Iterable<{ readonly bytes: Uint8Array }>, space: StateSpace, now: number): SpaceTotals {
    const totals = SpaceTotals.empty(space, now);
    for (const { bytes } of states) {
      totals.moved(Number.NEGATIVE_INFINITY, lastEventTimeIn(bytes));
      totals.grew(bytes.length);
    }
    return totals;
  }

  /** Entities that have had an event. */
  get entities(): number {
    return this.#cells.total;
  }

  /** Of all states as they were last written whole. */
  get bytes(): number {
    return this.#bytes;
  }

  before(time: number): CountBefore {
    return this.#cells.before(time);
  }

  /** What is written of an entity has its last event at `to`; before it was at `from`; -Infinity for none. */
  moved(from: number, to: number): void {
    if (from === to) return;
    this.#cells.move(from, to);
    this.#isChanged = true;
  }

  /** A state is written whole, by so much longer than before. */
  grew(bytesMore: number): void {
    if (bytesMore === 0) return;
    this.#bytes += bytesMore;
    this.#isChanged = true;
  }

  /** For the commit that writes the states. */
  takeWrites(now: number): MetaWrite[] {
    if (!this.#isChanged) return [];
    this.#isChanged = false;
    this.#cells.advance(now);
    const head: Head = { horizon: this.#cells.horizon, bytes: this.#bytes };
    const levels = Array.from(this.#cells.takeChanged(), ([level, cells]): MetaWrite => {
      return { name: `${prefixOf(this.#space)}${level}`, bytes: cells.length === 0 ? null : encode(cells) };
    });
    return [{ name: headName(this.#space), bytes: encode(head) }, ...levels];
  }
}

function prefixOf(space: StateSpace): string {
  return `totals/${space}/`;
}

function headName(space: StateSpace): string {
  return `${prefixOf(space)}head`;
}

function encode(data: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(data));
}
