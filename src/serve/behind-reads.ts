/**
 * Short answers are sent behind the reads of a turn of the event loop, those of several connections one after another.
 *
 * A client that has nothing to do sleeps, and the write that wakes it costs several times what one does that finds it
 * at work. Answered one by one between the reads, a client with many connections is done with each answer before the
 * next one comes, and sleeps again.
 *
 * Who waits, waits for reads that are short: whoever has done long work has it sent at once.
 */

/** So many connections wait at most: what they wait for is the work on so many requests. */
const WAITING_MAX = 16;

export interface Sender {
  /** Sends what there is to be sent, if it still can be. */
  sendNow(): void;
}

export class BehindReads {
  /** The first `#count` of these; the rest is room. */
  #waiting: (Sender | null)[] = places();
  #count = 0;
  /** Room for others while those are sent; null while it is in use. A new list each turn would be garbage each turn. */
  #spare: (Sender | null)[] | null = places();
  #isDue = false;

  /** Has it send in this turn; it must not be waiting already. */
  add(sender: Sender): void {
    this.#waiting[this.#count++] = sender;
    if (this.#count >= WAITING_MAX) this.sendWaiting();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(this.#sendDue);
    }
  }

  readonly #sendDue = (): void => {
    this.#isDue = false;
    this.sendWaiting();
  };

  /** To be called behind a long answer: the next one of the same turn may be as long. */
  sendWaiting(): void {
    const count = this.#count;
    if (count === 0) return;
    const waiting = this.#waiting;
    // Whoever sends may have others send.
    this.#waiting = this.#spare ?? places();
    this.#spare = null;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const sender = waiting[i]!;
      waiting[i] = null;
      sender.sendNow();
    }
    this.#spare = waiting;
  }
}

function places(): (Sender | null)[] {
  return Array.from({ length: WAITING_MAX }, () => null);
}

/** Of all doors: they share the turns of one event loop. */
export const behindReads: BehindReads = new BehindReads();
