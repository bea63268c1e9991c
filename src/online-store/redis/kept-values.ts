/**
 * Values by name, of what was read lately or again and again, within so many bytes. It is asked at every read, so it
 * makes room without looking for the oldest: a queue, in which what was asked for since is given a second chance.
 */
export class KeptValues {
  readonly #bytesMax: number;
  readonly #entries = new Map<string, Entry>();
  #order: (Entry | null)[] = [];
  #oldest = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** About what is kept takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined where nothing is kept, null where it is known that there is nothing. */
  get(name: string): Uint8Array | null | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    entry.isAskedFor = true;
    return entry.value;
  }

  /** A copy of the value. */
  keep(name: string, value: Uint8Array | null): void {
    this.forget(name);
    // Not by `Buffer`, which would hold a whole block of many buffers for each that is kept.
    const entry: Entry = { name, value: value && new Uint8Array(value), isAskedFor: false, isKept: true };
    this.#entries.set(name, entry);
    this.#order.push(entry);
    this.#bytes += sizeOf(entry);
    this.#makeRoom();
  }

  forget(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= sizeOf(entry);
    entry.isKept = false;
    entry.value = null;
  }

  clear(): void {
    this.#entries.clear();
    this.#order = [];
    this.#oldest = 0;
    this.#bytes = 0;
  }

  #makeRoom(): void {
    let passedOver = 0;
    while (this.#oldest < this.#order.length) {
      const entry = this.#order[this.#oldest]!;
      // What was forgotten meanwhile stands in the queue until it is met.
      if (entry.isKept && this.#bytes <= this.#bytesMax) break;
      this.#order[this.#oldest++] = null;
      if (!entry.isKept) continue;
      if (entry.isAskedFor && passedOver++ < PASSED_OVER_MAX) {
        entry.isAskedFor = false;
        this.#order.push(entry);
      } else this.forget(entry.name);
    }
    const left = this.#order.length - this.#oldest;
    if (left > ORDER_LENGTH_MIN && left > 2 * this.#entries.size) {
      this.#order = this.#order.slice(this.#oldest).filter((entry) => entry!.isKept);
      this.#oldest = 0;
    } else if (this.#oldest > ORDER_LENGTH_MIN && this.#oldest > left) {
      this.#order = this.#order.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}

interface Entry {
  readonly name: string;
  value: Uint8Array | null;
  /** Since it was last looked at by whoever makes room. */
  isAskedFor: boolean;
  isKept: boolean;
}

/** So many that were asked for are passed over at a time at most: it is done within a request. */
const PASSED_OVER_MAX = 1000;
const ORDER_LENGTH_MIN = 1000;
/** What an entry takes beside its value and its name. */
const ENTRY_BYTES = 350;

function sizeOf({ name, value }: Entry): number {
  return ENTRY_BYTES + name.length + (value?.length ?? 0);
}
