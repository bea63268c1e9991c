/**
 * The program of an engine in a process of its own: it does what it is asked, of a lower priority than whoever asks, and ends
 * when it is let go, or at once when the asker is gone. See `engine-apart.ts`.
 */
import { hearStarter, sayToStarter } from "../base/forked-program.ts";
import { errorToWire, type WireError } from "../base/wire-error.ts";
import type { Value } from "../schema/value.ts";
import { openDuckDb } from "./duckdb.ts";
import type { EngineBatch, EngineColumn, EngineSettings, FillBatch, QueryEngine, TableColumn } from "./engine.ts";

export type EngineQuestion =
  /** The folder for spilled data is the process's alone, and gone when it ends. */
  | { readonly kind: "open"; readonly settings: EngineSettings & { readonly spillFolder: string } }
  | { readonly kind: "run"; readonly sql: string }
  | { readonly kind: "rows"; readonly sql: string }
  /** Begins a stream under the question's id; its batches are asked for one by one. */
  | { readonly kind: "stream"; readonly sql: string; readonly columns: readonly EngineColumn[] }
  | { readonly kind: "next"; readonly stream: number }
  | { readonly kind: "stop"; readonly stream: number }
  /** Begins to fill a table under the question's id. Answers a batch once it is asked for the next, so that none pile up. */
  | { readonly kind: "fill"; readonly table: string; readonly columns: readonly TableColumn[] }
  | { readonly kind: "batch"; readonly fill: number; readonly batch: FillBatch }
  | { readonly kind: "filled"; readonly fill: number; readonly isWhole: boolean };

export type ToEngine =
  | { readonly kind: "ask"; readonly id: number; readonly question: EngineQuestion }
  | { readonly kind: "interrupt" };

/** Null where there is nothing to say, or a stream has come to its end. */
export type EngineAnswer = Record<string, Value>[] | EngineBatch | null;

export type FromEngine =
  | { readonly kind: "answer"; readonly id: number; readonly answer: EngineAnswer }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireError }
  | { readonly kind: "progress"; readonly share: number | null };

/** Between two tries to stop a query. */
const INTERRUPT_MILLIS = 20;
/** Between two words on how a query goes. */
const PROGRESS_MILLIS = 200;

class Fill {
  readonly done: Promise<void>;
  #give: (batch: FillBatch | null) => void = () => {};
  #stop: (why: unknown) => void = () => {};
  #wanted: () => void = () => {};
  #next: Promise<FillBatch | null> = this.#await();

  constructor(engine: QueryEngine, table: string, columns: readonly TableColumn[]) {
    this.done = engine.fill(table, columns, this.#batches());
    this.done.catch(() => {});
  }

  /** Resolves once the next may come; rejects with what the engine failed with. */
  async take(batch: FillBatch): Promise<void> {
    const taken = new Promise<void>((resolve) => (this.#wanted = resolve));
    this.#give(batch);
    await Promise.race([taken, this.done]);
  }

  async end(isWhole: boolean): Promise<void> {
    if (isWhole) this.#give(null);
    else this.#stop(new Error("the rows to fill it with ended early"));
    await this.done;
  }

  async *#batches(): AsyncIterableIterator<FillBatch> {
    for (;;) {
      const batch = await this.#next;
      if (batch === null) return;
      this.#next = this.#await();
      yield batch;
      this.#wanted();
    }
  }

  #await(): Promise<FillBatch | null> {
    const next = new Promise<FillBatch | null>((resolve, reject) => {
      this.#give = resolve;
      this.#stop = reject;
    });
    next.catch(() => {});
    return next;
  }
}

let engine: QueryEngine | null = null;
let spillFolder: string | null = null;
const streams = new Map<number, AsyncIterator<EngineBatch>>();
const fills = new Map<number, Fill>();
const unanswered = new Set<number>();

async function answerOf(id: number, question: EngineQuestion): Promise<EngineAnswer> {
  switch (question.kind) {
    case "open":
      spillFolder = question.settings.spillFolder;
      engine = await openDuckDb(question.settings);
      return null;
    case "run":
      await engine!.run(question.sql);
      return null;
    case "rows":
      return engine!.rows(question.sql);
    case "stream":
      streams.set(id, engine!.stream(question.sql, question.columns));
      return null;
    case "next": {
      const next = await streams.get(question.stream)!.next();
      return next.done === true ? null : next.value;
    }
    case "stop": {
      const stopped = streams.get(question.stream);
      streams.delete(question.stream);
      await stopped?.return?.();
      return null;
    }
    case "fill":
      fills.set(id, new Fill(engine!, question.table, question.columns));
      return null;
    case "batch":
      await fills.get(question.fill)!.take(question.batch);
      return null;
    case "filled": {
      const fill = fills.get(question.fill)!;
      fills.delete(question.fill);
      await fill.end(question.isWhole);
      return null;
    }
  }
}

async function answer(id: number, question: EngineQuestion): Promise<void> {
  unanswered.add(id);
  try {
    say({ kind: "answer", id, answer: await answerOf(id, question) });
  } catch (error) {
    say({ kind: "failed", id, error: errorToWire(error) });
  } finally {
    unanswered.delete(id);
  }
}

/** Stops what was asked before, also where the engine has not begun with it yet. */
async function interrupt(): Promise<void> {
  const asked = [...unanswered];
  while (asked.some((id) => unanswered.has(id))) {
    engine?.interrupt();
    await new Promise((resolve) => setTimeout(resolve, INTERRUPT_MILLIS));
  }
}

function say(message: FromEngine): void {
  sayToStarter(message);
}

function hear(message: ToEngine): void {
  if (message.kind === "interrupt") void interrupt();
  else void answer(message.id, message.question);
}

if (hearStarter(hear, { spillFolder: () => spillFolder })) {
  let said: number | null = null;
  setInterval(() => {
    const share = engine?.progress() ?? null;
    if (share !== said) say({ kind: "progress", share: (said = share) });
  }, PROGRESS_MILLIS).unref();
}
