/**
 * When entities had their last event: how many of them in each cell of time, kept up as entities move.
 *
 *     past  |----------|----------|-----|-----|--|--|-|-|-|-|  horizon
 *            cells of level 10     9           8      7 ...      so far back, a cell is no wider than 1/64 of that
 *
 * A cell of level n is 2^n seconds or so wide and begins at a multiple of that, so two of one level are exactly one of
 * the next. Which level a moment's cell has follows from the moment and the horizon alone. So an entity that moves is
 * taken from the cell that holds its former time, wherever that time has got to, without being looked for; and cells are
 * joined, never split, as the horizon goes on.
 *
 * Counts are exact at every cell's edge. Who asks how many entities are older than some age is answered for the edge at
 * or before that moment, and told where it is.
 */

/** About a second: the width of cells of level 0. */
const CELL_MICROS = 2 ** 20;
/** A cell ends at least so many of its own widths before the horizon, unless it is of level 0. */
const WIDTHS_BACK = 64;
/** About 34,000 years. */
const LEVEL_MAX = 40;
const WIDTHS: readonly number[] = Array.from({ length: LEVEL_MAX + 1 }, (_, level) => CELL_MICROS * 2 ** level);
/** How far the horizon goes on at a time. */
const STEP_MICROS: number = WIDTHS_BACK * CELL_MICROS;

export interface CountBefore {
  /** Entities whose last event is earlier than `edge`. */
  readonly count: number;
  /** At or before the moment that was asked for, by less than 1/64 of how long ago that is, or a second. */
  readonly edge: number;
}

/** Cells of one level: pairs of a number in the level and a count that is not 0, as they are stored, and where each is. */
class Level {
  readonly pairs: number[] = [];
  isChanged = false;
  readonly #places = new Map<number, number>();

  add(index: number, count: number): void {
    const { pairs } = this;
    this.isChanged = true;
    const place = this.#places.get(index);
    if (place === undefined) {
      this.#places.set(index, pairs.length);
      pairs.push(index, count);
    } else if ((pairs[place + 1]! += count) === 0) this.#remove(index, place);
  }

  /** The last one takes its place. */
  #remove(index: number, place: number): void {
    const { pairs } = this;
    const count = pairs.pop()!;
    const last = pairs.pop()!;
    this.#places.delete(index);
    if (last === index) return;
    pairs[place] = last;
    pairs[place + 1] = count;
    this.#places.set(last, place);
  }
}

export class EventTimeCells {
  readonly #levels: (Level | undefined)[] = [];
  #horizon: number;
  #total = 0;

  constructor(horizon: number) {
    this.#horizon = horizon;
  }

  get horizon(): number {
    return this.#horizon;
  }

  /** Entities in all cells. */
  get total(): number {
    return this.#total;
  }

  /** An entity's last event was at `from` and is at `to`; -Infinity where there is none. */
  move(from: number, to: number): void {
    if (from === to) return;
    if (Number.isFinite(from)) this.#add(from, -1);
    if (Number.isFinite(to)) this.#add(to, 1);
  }

  /** Joins cells that are far enough back from `now`. A clock that goes back changes nothing. */
  advance(now: number): void {
    if (now - this.#horizon < STEP_MICROS) return;
    this.#horizon = now;
    for (const [level, cells] of this.#levels.entries()) {
      const pairs = cells === undefined ? [] : [...cells.pairs];
      for (let i = 0; i < pairs.length; i += 2) {
        const [index, count] = [pairs[i]!, pairs[i + 1]!];
        const start = index * widthOf(level);
        const joined = this.#levelOf(start);
        if (joined === level) continue;
        this.#put(level, index, -count);
        this.#put(joined, Math.floor(start / widthOf(joined)), count);
      }
    }
  }

  /** How many entities had their last event before `time`, or just before. */
  before(time: number): CountBefore {
    const level = this.#levelOf(time);
    const edge = Math.floor(time / widthOf(level)) * widthOf(level);
    let count = 0;
    for (const [each, cells] of this.#levels.entries()) {
      const pairs = cells?.pairs ?? [];
      for (let i = 0; i < pairs.length; i += 2) if (pairs[i]! * widthOf(each) < edge) count += pairs[i + 1]!;
    }
    return { count, edge };
  }

  /** Cells of the levels that changed since they were last taken, by level: pairs of a number and a count. */
  takeChanged(): ReadonlyMap<number, readonly number[]> {
    const taken = new Map<number, readonly number[]>();
    for (const [level, cells] of this.#levels.entries()) {
      if (cells?.isChanged !== true) continue;
      cells.isChanged = false;
      taken.set(level, cells.pairs.slice());
    }
    return taken;
  }

  /** As `takeChanged` gave them, of this horizon. */
  load(level: number, cells: readonly number[]): void {
    for (let i = 0; i < cells.length; i += 2) {
      this.#put(level, cells[i]!, cells[i + 1]!);
      this.#total += cells[i + 1]!;
    }
    const loaded = this.#levels[level];
    if (loaded !== undefined) loaded.isChanged = false;
  }

  #add(time: number, count: number): void {
    const level = this.#levelOf(time);
    this.#put(level, Math.floor(time / widthOf(level)), count);
    this.#total += count;
  }

  #put(level: number, index: number, count: number): void {
    (this.#levels[level] ??= new Level()).add(index, count);
  }

  /** The highest level whose cell around `time` ends far enough before the horizon. */
  #levelOf(time: number): number {
    const back = this.#horizon - time;
    if (back < STEP_MICROS) return 0;
    let level = Math.min(LEVEL_MAX, Math.floor(Math.log2(back / STEP_MICROS)) + 1);
    while (level > 0) {
      const width = widthOf(level);
      const end = (Math.floor(time / width) + 1) * width;
      if (end <= this.#horizon - WIDTHS_BACK * width) break;
      level--;
    }
    return level;
  }
}

function widthOf(level: number): number {
  return WIDTHS[level]!;
}
