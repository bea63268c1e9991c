/** Values by name, of what was read lately or again and again, within so many bytes. */
import { type Chanced, SecondChances } from "../../base/second-chances.ts";

export class KeptValues {
  readonly #bytesMax: number;
  readonly #entries = new Map<string, Entry>();
  readonly #order = new SecondChances<Entry>();
  #bytes = 0;

  readonly #isTooMuch = (): boolean => this.#bytes > this.#bytesMax;
  readonly #letGo = ({ name }: Entry): void => this.forget(name);

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
    this.#order.add(entry);
    this.#bytes += sizeOf(entry);
    this.#order.makeRoom(this.#entries.size, this.#isTooMuch, this.#letGo);
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
    this.#order.clear();
    this.#bytes = 0;
  }
}

interface Entry extends Chanced {
  readonly name: string;
  value: Uint8Array | null;
}

/** What an entry takes beside its value and its name. */
const ENTRY_BYTES = 350;

function sizeOf({ name, value }: Entry): number {
  return ENTRY_BYTES + name.length + (value?.length ?? 0);
}
