/** Visits that are pushed and read back at once, with what must be true of every answer. */
import { setTimeout as delay } from "node:timers/promises";
import type { Answer, HttpConnection } from "./workers-in-test.ts";

let lastVisit = 0;
export function visit(userId: string, amount = 10): { visit_id: string; user_id: string; at: string; amount: number } {
  return { visit_id: `v${++lastVisit}`, user_id: userId, at: new Date().toISOString(), amount };
}

/** As of when the states behind an answer were whole, in milliseconds since the epoch. */
function wholeAsOf({ body }: Answer): number {
  return Date.parse(body["metadata"].as_of) - body["metadata"].snapshot_age_ms;
}

/**
 * Visits of one user, pushed one after the other until told to end; each answer of the meantime must have every
 * visit that was acknowledged before the moment its states were whole, and none that was not begun.
 */
export class VisitsLoad {
  readonly #userId: string;
  /** When each visit was begun and, once it was, acknowledged. */
  readonly #begun: number[] = [];
  readonly #acknowledged: number[] = [];
  readonly #running: Promise<void>[];
  #ended = false;
  answered = 0;
  broken = 0;
  /** What was wrong. */
  readonly faults: string[] = [];

  constructor(userId: string, readers: readonly HttpConnection[], writer: HttpConnection) {
    this.#userId = userId;
    this.#running = [this.#write(writer), ...readers.map((reader) => this.#read(reader))];
  }

  async end(): Promise<number> {
    this.#ended = true;
    await Promise.all(this.#running);
    return this.#acknowledged.length;
  }

  async #write(writer: HttpConnection): Promise<void> {
    while (!this.#ended) {
      const row = visit(this.#userId);
      this.#begun.push(Date.now());
      let answer = await writer.push([row]);
      // Nobody knows what became of it: with its id it can be pushed again.
      while (answer === null) {
        this.broken += 1;
        await delay(5);
        answer = await writer.push([row]);
      }
      const { accepted, duplicates } = answer.body;
      if (answer.status !== 200 || accepted + duplicates !== 1) this.faults.push(JSON.stringify(answer));
      this.#acknowledged.push(Date.now());
    }
  }

  async #read(reader: HttpConnection): Promise<void> {
    while (!this.#ended) {
      const answer = await reader.vector(this.#userId);
      if (answer === null) {
        this.broken += 1;
        await delay(5);
        continue;
      }
      const fault = this.#faultOf(answer);
      if (fault !== null) this.faults.push(`${fault}: ${JSON.stringify(answer.body)}`);
      this.answered += 1;
    }
  }

  #faultOf(answer: Answer): string | null {
    if (answer.status !== 200) return `status ${answer.status}`;
    const { visits, spent } = answer.body["features"];
    const asOf = wholeAsOf(answer);
    // A millisecond for the times that were rounded down.
    const acknowledged = this.#acknowledged.filter((at) => at < asOf - 1).length;
    if (visits < acknowledged) return `${acknowledged} were acknowledged`;
    if (visits > this.#begun.length) return `${this.#begun.length} were begun`;
    return (spent ?? 0) === visits * 10 ? null : "its features are not of one moment";
  }
}
