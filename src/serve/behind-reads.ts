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
  #waiting: Sender[] = [];
  #isDue = false;

  /** Has it send in this turn; it must not be waiting already. */
  add(sender: Sender): void {
    if (this.#waiting.push(sender) >= WAITING_MAX) this.sendWaiting();
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
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i++) waiting[i]!.sendNow();
  }
}

/** Of all doors: they share the turns of one event loop. */
export const behindReads: BehindReads = new BehindReads();
