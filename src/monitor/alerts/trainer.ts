/**
 * Brings trainings on their way: has a set built, looks until it is there, and puts the call of the rule's webhook into
 * the outbox, in the step that ends the training. Each step is stored before the next, so a restart goes on from it; at
 * worst a set is built twice.
 */
import { MICROS_PER_MINUTE, MICROS_PER_SECOND } from "../../base/micros.ts";
import type { AlertContent, AlertStore, HistoryEvent } from "./alert-store.ts";
import { eventOf } from "./courier.ts";
import { retrainNotice } from "./notice.ts";
import { withAdded } from "./outbox.ts";
import type { SetBuilder, Training } from "./training.ts";

export interface TrainerHouse {
  readonly store: AlertStore;
  readonly builder: SetBuilder;
  now(): number;
  newId(): string;
  /** There is something to deliver. */
  onOutbox(): void;
  onTrouble(error: unknown): void;
}

/** Then it is given up. */
export const FAILURES_MAX = 5;
const LOOK_MILLIS = 1000;
const LOOK_MILLIS_MAX = 60_000;
const WAIT_MICROS = 10 * MICROS_PER_SECOND;
const WAIT_MICROS_MAX = 15 * MICROS_PER_MINUTE;

export class Trainer {
  readonly #house: TrainerHouse;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> | null = null;
  #isClosed = false;

  constructor(house: TrainerHouse) {
    this.#house = house;
  }

  /** Goes on with all that is under way. To be called whenever there is more. */
  wake(): void {
    if (this.#isClosed || this.#working !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#working = this.#step().finally(() => {
      this.#working = null;
      const { trainings } = this.#house.store.content;
      if (this.#isClosed || trainings.length === 0) return;
      const now = this.#house.now();
      const next = Math.min(...trainings.map(({ nextMicros }) => nextMicros));
      const millis = Math.min(LOOK_MILLIS_MAX, Math.max(LOOK_MILLIS, (next - now) / 1000));
      this.#timer = setTimeout(() => this.wake(), millis).unref();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#working;
  }

  /** Never rejects. */
  async #step(): Promise<void> {
    for (const training of this.#house.store.content.trainings) {
      if (this.#isClosed) return;
      const left = training.nextMicros - this.#house.now();
      // Nothing waits for longer: then the clock was ahead when that was noted.
      if (left > 0 && left <= WAIT_MICROS_MAX) continue;
      try {
        await (training.trainingSet === null ? this.#start(training) : this.#look(training, training.trainingSet));
      } catch (error) {
        this.#house.onTrouble(error);
      }
    }
  }

  async #start(training: Training): Promise<void> {
    let trainingSet: string;
    try {
      trainingSet = await this.#house.builder.start(training, this.#house.now());
    } catch (error) {
      return this.#failed(training, messageOf(error), isHopeless(error));
    }
    const detail = { training_id: training.id, training_set: trainingSet, service: training.service };
    await this.#replace(training, { ...training, trainingSet, lastError: null }, [
      { event: "training-started", rule: training.rule, detail },
    ]);
  }

  async #look(training: Training, trainingSet: string): Promise<void> {
    const { builder, now, newId, onOutbox } = this.#house;
    let found: Awaited<ReturnType<SetBuilder["look"]>>;
    try {
      found = await builder.look(trainingSet);
    } catch (error) {
      found = { state: "failed", error: messageOf(error), isFinal: false };
    }
    if (found.state === "under-way") return;
    if (found.state === "failed") return this.#failed(training, found.error, found.isFinal);
    const { rows, path } = found;
    // Nobody can train on that, and a model that tried would take the place of one that works.
    if (rows === 0) return this.#failed(training, `training set ${trainingSet} has no rows`, true);
    const { id, rule, service, startedMicros, to } = training;
    const at = now();
    const download = `/training-sets/${trainingSet}/download`;
    const fresh = { service, training_set: trainingSet, rows, path, download };
    const notice = retrainNotice(newId(), rule, training.found, fresh, startedMicros, at);
    const event = { event: "training-done" as const, rule, detail: { training_id: id, ...fresh } };
    await this.#replace(training, null, [event], (content) => {
      const added = to.map((destination) => ({
        notice,
        destination,
        chain: rule,
        createdMicros: at,
        attempts: 0,
        nextMicros: at,
        lastError: null,
      }));
      const { outbox, dropped } = withAdded(content.outbox, added);
      return {
        content: { ...content, outbox },
        events: dropped.map((entry) => eventOf(entry, "undelivered", entry.attempts, "too many notices wait")),
      };
    });
    onOutbox();
  }

  async #failed(training: Training, error: string, isFinal: boolean): Promise<void> {
    const failures = training.failures + 1;
    const isOver = isFinal || failures >= FAILURES_MAX;
    const wait = Math.min(WAIT_MICROS_MAX, WAIT_MICROS * 2 ** (failures - 1));
    const detail = { training_id: training.id, service: training.service, failures, error };
    await this.#replace(
      training,
      isOver
        ? null
        : { ...training, trainingSet: null, failures, nextMicros: this.#house.now() + wait, lastError: error },
      isOver ? [{ event: "training-failed", rule: training.rule, detail }] : [],
      (content) => ({ content: isOver ? withUntold(content, training.rule) : content, events: [] }),
    );
  }

  #replace(
    training: Training,
    by: Training | null,
    events: readonly HistoryEvent[],
    more: (content: AlertContent) => { content: AlertContent; events: readonly HistoryEvent[] } = (content) => ({
      content,
      events: [],
    }),
  ): Promise<void> {
    return this.#house.store.change(this.#house.now(), (content) => {
      const added = more(content);
      const trainings = content.trainings.flatMap((one) => (one.id !== training.id ? [one] : by === null ? [] : [by]));
      return { content: { ...added.content, trainings }, events: [...events, ...added.events] };
    });
  }
}

/** Nobody was called, so what still fires asks again once the cool-down is over. */
function withUntold(content: AlertContent, rule: string): AlertContent {
  const states = content.memory.states.map((state) => (state.rule === rule ? { ...state, isTold: false } : state));
  return { ...content, memory: { ...content.memory, states } };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is wrong with the request itself is wrong the next time, too. */
const HOPELESS: ReadonlySet<string> = new Set([
  "TRAINING_NOT_OFFERED",
  "SERVICE_UNKNOWN",
  "REQUEST_INVALID",
  "PATH_NOT_ALLOWED",
  "SPINE_INVALID",
]);

export function isHopeless(error: unknown): boolean {
  return HOPELESS.has(String((error as { readonly code?: unknown } | null)?.code));
}
