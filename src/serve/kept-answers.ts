/**
 * Answers that were given and can be given again: each under the very bytes of what was asked, as long as a read
 * would give the same bits.
 *
 * A read gives the same until the state of one of its entities changes, or time takes an event out of a window
 * (or a value past its TTL). The first the fold counts (`StateChanges`); the second the read itself says
 * beforehand, as `stableUntils` (src/fold/view-fold.ts). Nothing else may change a value, so nothing is ever
 * answered that a read at that very moment would not give.
 *
 * Everything lies in one block of memory that the garbage collector does not look into. Entries stand one behind
 * another in a ring; a new one takes the place of the oldest. A table finds them by a hash of what was asked.
 *
 *     words of 8 bytes: from | until | 5 of Int32 fields | counts | cell of each count, two a word |
 *     what was asked, in words of 4 bytes, and the answer, byte by byte
 *
 * Views of one entity may count its changes together: then there is one count for all of them.
 */
import { ByteWords } from "../base/bytes-hash.ts";
import type { Clock } from "../base/clock.ts";
import type { Micros } from "../base/micros.ts";
import type { StatusCode } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { AnswerTable, NONE } from "./answer-table.ts";
import type { StateChanges } from "./ports.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** What was asked: `bytes[start, end)`, in a space of their own. */
export interface Asked {
  readonly space: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Who asks, as it names itself; answers do not differ by it. */
  readonly consumer?: string;
}

/** To be kept past the turn that the bytes came in. */
export function copyOfAsked({ space, bytes, start, end, consumer = "" }: Asked): Asked {
  return { space, bytes: Uint8Array.prototype.slice.call(bytes, start, end), start: 0, end: end - start, consumer };
}

/** An answer that stands: good until the next one is looked for or kept. */
export interface KeptAnswer {
  /** The moment it is right at: when it was looked for. */
  asOf: Micros;
  /** From when the work on the request began until it was found, as whoever looked for it says. */
  durationMs: number;
  plan: VectorPlan;
  statuses: readonly StatusCode[];
  /** A number of whoever kept it. */
  note: number;
  /** The answer is `bytes[start, end)`. */
  bytes: Buffer;
  start: number;
  end: number;
  /** The place in the answer at which something was left out. */
  split: number;
}

/** What an answer is made of, beside its bytes. */
export interface KeptRead {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly asOf: Micros;
  /** When time alone will change it. */
  readonly until: number;
}

/** An answer: `bytes[start, end)`, without what stands in `[split, splitEnd)`, which differs each time. */
export interface MadeAnswer {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly split?: number;
  readonly splitEnd?: number;
  readonly note?: number;
}

let spaces = 0;

/** A space in which bytes that were asked mean the same. */
export function newAnswerSpace(): number {
  return ++spaces;
}

const HEADER_WORDS = 7;
/** Int32 fields of an entry, from its third word. */
const SPACE = 4;
const ASKED_BYTES = 5;
const ANSWER_BYTES = 6;
const SPLIT = 7;
const PLAN = 8;
const STATUSES = 9;
const NOTE = 10;
const WORDS = 11;
/** By which the table finds it. */
const HASH = 12;
/** Room in the table for an entry of so many bytes: less than the smallest answer takes, so that rows hardly overflow. */
const BYTES_AN_ENTRY = 128;
/** An entry may take so small a part of all room. */
const ENTRY_SHARE = 1 / 16;
/** Lists of statuses that differ, and plans, which callers may choose; at so many all is let go. */
const STATUS_LISTS_MAX = 4096;
const PLANS_MAX = 1000;
const BYTES_MAX = 2 ** 31;

export class KeptAnswers {
  readonly #words: number;
  #memory: Memory | null = null;
  /** Where the next entry goes; the oldest one of the ring's last lap; and where that lap ended. */
  #head = 0;
  #tail = 0;
  #lapEnd = 0;
  #plans: CountedPlan[] = [];
  #planNumbers = new Map<VectorPlan, number>();
  #statusLists: (readonly StatusCode[])[] = [];
  /** By the list's hash: of lists that have one in common, the last. */
  #statusNumbers = new Map<number, number>();
  #lastStatuses = NONE;
  /** Of what is kept at present. */
  readonly #cells: number[] = [];
  readonly #counts: number[] = [];
  /** What is asked at present. */
  readonly #asked = new ByteWords();
  readonly #found: KeptAnswer = {
    asOf: 0 as Micros,
    durationMs: 0,
    plan: null as unknown as VectorPlan,
    statuses: [],
    note: 0,
    bytes: null as unknown as Buffer,
    start: 0,
    end: 0,
    split: 0,
  };

  /** 0 keeps nothing. */
  constructor(bytesMax: number) {
    this.#words = Math.floor(Math.min(bytesMax, BYTES_MAX) / 8);
  }

  /** What was answered, if a read by this clock would give the same now; else null. */
  find(asked: Asked, clock: Clock): KeptAnswer | null {
    const memory = this.#memory;
    if (memory === null) return null;
    this.#asked.take(asked.bytes, asked.start, asked.end);
    const at = this.#placeOf(memory, asked.space, this.#asked.hash(asked.space));
    if (at === NONE) return null;
    const { numbers, fields } = memory;
    const now = clock.now();
    if (now < numbers[at]! || now >= numbers[at + 1]!) return null;
    const { plan, counted } = this.#plans[fields[2 * at + PLAN]!]!;
    const counts = at + HEADER_WORDS;
    const cells = 2 * (counts + counted.length);
    for (let i = 0; i < counted.length; i++) {
      if (counted[i]!.changes.of(fields[cells + i]!) !== numbers[counts + i]!) return null;
    }
    const found = this.#found;
    const start = 8 * (at + headWords(counted)) + roundedUp(fields[2 * at + ASKED_BYTES]!);
    found.asOf = now;
    found.plan = plan;
    found.statuses = this.#statusLists[fields[2 * at + STATUSES]!]!;
    found.note = fields[2 * at + NOTE]!;
    found.bytes = memory.bytes;
    found.start = start;
    found.end = start + fields[2 * at + ANSWER_BYTES]!;
    found.split = start + fields[2 * at + SPLIT]!;
    return found;
  }

  /**
   * Keeps an answer that was made of what the plan read in this turn. Not where there is no room for it, or the house
   * cannot tell when states change.
   */
  keep(asked: Asked, { plan, keys, asOf, until }: KeptRead, made: MadeAnswer): void {
    const { start: from, end, split = from, splitEnd = split, note = 0 } = made;
    const answerBytes = end - from - (splitEnd - split);
    if (until <= asOf) return;
    if (this.#plans.length >= PLANS_MAX || this.#statusLists.length >= STATUS_LISTS_MAX) this.clear();
    const planNumber = this.#planNumber(plan);
    if (planNumber === NONE) return;
    const { counted } = this.#plans[planNumber]!;
    const askedBytes = asked.end - asked.start;
    const words = headWords(counted) + Math.ceil((roundedUp(askedBytes) + answerBytes) / 8);
    if (words > this.#words * ENTRY_SHARE) return;
    if (!this.#count(counted, keys)) return;
    const statuses = this.#statusNumber(plan.vector.statuses);
    const memory = (this.#memory ??= new Memory(this.#words));
    this.#asked.take(asked.bytes, asked.start, asked.end);
    const hash = this.#asked.hash(asked.space);
    let at = this.#placeOf(memory, asked.space, hash);
    if (at === NONE || memory.fields[2 * at + WORDS]! < words) {
      if (at !== NONE) memory.table.remove(hash, at);
      at = this.#takeRoom(memory, words);
      memory.table.put(hash, at, this.#ageOf);
      memory.fields[2 * at + HASH] = hash;
      memory.fields[2 * at + WORDS] = words;
    }
    const { numbers, fields, bytes } = memory;
    numbers[at] = asOf;
    numbers[at + 1] = until;
    fields[2 * at + SPACE] = asked.space;
    fields[2 * at + ASKED_BYTES] = askedBytes;
    fields[2 * at + ANSWER_BYTES] = answerBytes;
    fields[2 * at + SPLIT] = split - from;
    fields[2 * at + PLAN] = planNumber;
    fields[2 * at + STATUSES] = statuses;
    fields[2 * at + NOTE] = note;
    const counts = at + HEADER_WORDS;
    const cells = 2 * (counts + counted.length);
    for (let i = 0; i < counted.length; i++) {
      numbers[counts + i] = this.#counts[i]!;
      fields[cells + i] = this.#cells[i]!;
    }
    const askedAt = 2 * (at + headWords(counted));
    this.#asked.putAt(fields, askedAt);
    const to = 4 * askedAt + roundedUp(askedBytes);
    if (split > from) made.bytes.copy(bytes, to, from, split);
    made.bytes.copy(bytes, to + split - from, splitEnd, end);
  }

  /** Lets all go: plans were thrown away, or there are too many. */
  clear(): void {
    this.#memory?.table.clear();
    this.#head = 0;
    this.#tail = 0;
    this.#lapEnd = 0;
    this.#plans = [];
    this.#planNumbers.clear();
    this.#statusLists = [];
    this.#statusNumbers.clear();
    this.#lastStatuses = NONE;
  }

  /** Where changes are counted of what was read, and how many there were; false where that is not known of one. */
  #count(counted: readonly Counted[], keys: readonly EntityKey[]): boolean {
    for (let i = 0; i < counted.length; i++) {
      const { changes, entity } = counted[i]!;
      const cell = changes.cellOf(keys[entity]!);
      const count = changes.of(cell);
      if (Number.isNaN(count)) return false;
      this.#cells[i] = cell;
      this.#counts[i] = count;
    }
    return true;
  }

  /** Of the entry of what is asked at present. */
  #placeOf({ table, fields }: Memory, space: number, hash: number): number {
    const { pairs } = table;
    const row = table.rowOf(hash);
    const end = table.endOf(row);
    for (let pair = row; pair < end; pair += 2) {
      if (pairs[pair] !== hash) continue;
      const at = pairs[pair + 1]!;
      if (at !== NONE && this.#isAsked(fields, at, space)) return at;
    }
    return NONE;
  }

  #isAsked(fields: Int32Array, at: number, space: number): boolean {
    const asked = this.#asked;
    if (fields[2 * at + SPACE] !== space || fields[2 * at + ASKED_BYTES] !== asked.byteLength) return false;
    return asked.areAt(fields, 2 * (at + headWords(this.#plans[fields[2 * at + PLAN]!]!.counted)));
  }

  /** In words of the ring written since. */
  readonly #ageOf = (at: number): number => (at < this.#head ? this.#head - at : this.#head + this.#words - at);

  /** Room at the head of the ring, where the oldest entries were. */
  #takeRoom(memory: Memory, words: number): number {
    if (this.#head + words > this.#words) {
      this.#letGoUpTo(memory, this.#lapEnd);
      this.#lapEnd = this.#head;
      this.#head = 0;
      this.#tail = 0;
    }
    this.#letGoUpTo(memory, this.#head + words);
    const at = this.#head;
    this.#head += words;
    return at;
  }

  /** Those of the last lap that begin before `end`. */
  #letGoUpTo(memory: Memory, end: number): void {
    const { table, fields } = memory;
    while (this.#tail < this.#lapEnd && this.#tail < end) {
      const at = this.#tail;
      table.remove(fields[2 * at + HASH]!, at);
      this.#tail += fields[2 * at + WORDS]!;
    }
  }

  /** `NONE` where the house cannot tell when its states change. */
  #planNumber(plan: VectorPlan): number {
    let number = this.#planNumbers.get(plan);
    if (number !== undefined) return number;
    const counted = countedOf(plan);
    if (counted === null) return NONE;
    number = this.#plans.push({ plan, counted }) - 1;
    this.#planNumbers.set(plan, number);
    return number;
  }

  #statusNumber(statuses: readonly StatusCode[]): number {
    if (this.#isList(this.#lastStatuses, statuses)) return this.#lastStatuses;
    let hash = statuses.length;
    for (let i = 0; i < statuses.length; i++) hash = (Math.imul(hash, 31) + statuses[i]!) | 0;
    let number = this.#statusNumbers.get(hash) ?? NONE;
    if (!this.#isList(number, statuses)) {
      number = this.#statusLists.push([...statuses]) - 1;
      this.#statusNumbers.set(hash, number);
    }
    return (this.#lastStatuses = number);
  }

  #isList(number: number, statuses: readonly StatusCode[]): boolean {
    if (number === NONE) return false;
    const list = this.#statusLists[number]!;
    if (list.length !== statuses.length) return false;
    for (let i = 0; i < list.length; i++) if (list[i] !== statuses[i]) return false;
    return true;
  }
}

/** Where changes of one of a plan's entities are counted. */
interface Counted {
  readonly changes: StateChanges;
  /** Index of the entity in the plan's entities. */
  readonly entity: number;
}

interface CountedPlan {
  readonly plan: VectorPlan;
  readonly counted: readonly Counted[];
}

function countedOf({ views }: VectorPlan): Counted[] | null {
  const counted: Counted[] = [];
  for (const { view, entity } of views) {
    const { changes } = view;
    if (changes === undefined) return null;
    if (!counted.some((one) => one.changes === changes && one.entity === entity)) counted.push({ changes, entity });
  }
  return counted;
}

function headWords({ length }: readonly Counted[]): number {
  return HEADER_WORDS + length + ((length + 1) >> 1);
}

/** The block, seen as what each part of it is, and the table. Its pages are taken from the system as they are written. */
class Memory {
  readonly numbers: Float64Array;
  readonly fields: Int32Array;
  readonly bytes: Buffer;
  readonly table: AnswerTable;

  constructor(words: number) {
    const block = new ArrayBuffer(8 * words);
    this.numbers = new Float64Array(block);
    this.fields = new Int32Array(block);
    this.bytes = Buffer.from(block);
    this.table = new AnswerTable((8 * words) / BYTES_AN_ENTRY);
  }
}

/** Bytes that words of four take. */
function roundedUp(bytes: number): number {
  return (bytes + 3) & ~3;
}
