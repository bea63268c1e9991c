/**
 * Delivers what waits in the outbox, at least once: a notice leaves it only after its receiver has said that it has it,
 * so a server that is killed in between sends it again, under the same id.
 */
import type { DestinationDefinition } from "../../define/alert-definition.ts";
import type { AlertStore, HistoryEvent } from "./alert-store.ts";
import type { Notice } from "./notice.ts";
import { afterFailure, dueNow, idOf, type Undelivered } from "./outbox.ts";
import { DeliveryFailure } from "./send.ts";

export interface CourierHouse {
  readonly store: AlertStore;
  now(): number;
  random(): number;
  /** Null where there is none of the name. */
  destination(name: string): DestinationDefinition | null;
  send(destination: DestinationDefinition, notice: Notice, signal: AbortSignal): Promise<void>;
  /** Told where what became of a notice cannot be stored. */
  onTrouble(error: unknown): void;
}

const GIVE_UP_MICROS = 86_400e6;
/** Longer than a timer can wait is nothing that is waited for. */
const LOOK_MILLIS_MAX = 60_000;
/** Where the disk takes nothing. */
const TROUBLE_MILLIS = 5000;

export class Courier {
  readonly #house: CourierHouse;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;

  constructor(house: CourierHouse) {
    this.#house = house;
  }

  /** Sends what is due, and what becomes due, from now on. To be called whenever there is more. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    const { store, now } = this.#house;
    const at = now();
    for (const entry of dueNow(store.content.outbox, new Set(this.#underWay.keys()), at)) {
      const id = idOf(entry);
      const work = this.#deliver(entry).finally(() => {
        this.#underWay.delete(id);
        this.wake();
      });
      this.#underWay.set(id, work);
    }
    this.#wait(at);
  }

  /** Ends attempts under way; what they were about is sent again later. */
  async close(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all(this.#underWay.values());
  }

  #wait(nowMicros: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const waiting = this.#house.store.content.outbox.filter((entry) => !this.#underWay.has(idOf(entry)));
    const next = Math.min(...waiting.map(({ nextMicros }) => nextMicros));
    if (!Number.isFinite(next)) return;
    // Those that are due and were not sent stand behind others of their chain, whose end calls again.
    const millis = next <= nowMicros ? LOOK_MILLIS_MAX : Math.min(LOOK_MILLIS_MAX, (next - nowMicros) / 1000 + 1);
    this.#timer = setTimeout(() => this.wake(), millis).unref();
  }

  /** Never rejects. */
  async #deliver(entry: Undelivered): Promise<void> {
    const { now, destination, send } = this.#house;
    const to = destination(entry.destination);
    try {
      if (to === null) throw new DeliveryFailure(`no destination "${entry.destination}" is registered`);
      await send(to, entry.notice, this.#stopping.signal);
      await this.#settle(entry, null, eventOf(entry, "delivered", entry.attempts + 1, null));
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      const left = afterFailure(entry, why, {
        giveUpMicros: to?.giveUpMicros ?? GIVE_UP_MICROS,
        nowMicros: now(),
        random: this.#house.random(),
        ...(error instanceof DeliveryFailure ? { askedMicros: error.askedMicros } : {}),
      });
      await this.#settle(entry, left, left === null ? eventOf(entry, "undelivered", entry.attempts + 1, why) : null);
    }
  }

  /** Never rejects: what cannot be stored is as if it had not been tried, but for a pause. */
  async #settle(entry: Undelivered, left: Undelivered | null, event: HistoryEvent | null): Promise<void> {
    const { store, now, onTrouble } = this.#house;
    const id = idOf(entry);
    try {
      await store.change(now(), (content) => ({
        content: {
          ...content,
          outbox: content.outbox.flatMap((one) => (idOf(one) !== id ? [one] : left === null ? [] : [left])),
        },
        events: event === null ? [] : [event],
      }));
    } catch (error) {
      onTrouble(error);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TROUBLE_MILLIS);
        this.#stopping.signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

/** What was not delivered is kept whole. */
export function eventOf(
  { notice, destination }: Undelivered,
  event: "delivered" | "undelivered",
  attempts: number,
  error: string | null,
): HistoryEvent {
  const detail = { notice_id: notice.id, about: notice.event, to: destination, attempts };
  return { event, rule: notice.rule, detail: event === "delivered" ? detail : { ...detail, error, notice } };
}
