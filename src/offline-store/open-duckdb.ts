/**
 * Engines whose driver is loaded when it is needed: most commands ask nothing of one, and to load and start it takes longer than
 * all else that they do.
 */
import { OnefoldError } from "../base/errors.ts";
import type {
  EngineBatch,
  EngineColumn,
  EngineSettings,
  FillBatch,
  FillOptions,
  QueryEngine,
  TableColumn,
} from "./engine.ts";
import type { Value } from "../schema/value.ts";

/** As in `duckdb.ts`. */
export async function openDuckDb(settings: EngineSettings = {}): Promise<QueryEngine> {
  const { openDuckDb: open } = await import("./duckdb.ts");
  return open(settings);
}

/**
 * One that is opened by the first that is asked of it, which throws what opening throws; then the next opens it. Closed, it
 * opens nothing any more: `INTERNAL`.
 */
export class EngineWhenAsked implements QueryEngine {
  readonly #open: () => Promise<QueryEngine>;
  #opening: Promise<QueryEngine> | null = null;
  #opened: QueryEngine | null = null;
  #isClosed = false;
  /** Times that what waited for it to be opened was stopped. */
  #stops = 0;

  constructor(open: () => Promise<QueryEngine>) {
    this.#open = open;
  }

  /** Whoever asks first waits for nothing then; where it cannot be opened, they hear of it. */
  async open(): Promise<void> {
    await this.#engine().catch(() => undefined);
  }

  async run(sql: string): Promise<void> {
    return (await this.#engine()).run(sql);
  }

  async rows(sql: string): Promise<Record<string, Value>[]> {
    return (await this.#engine()).rows(sql);
  }

  async *stream(sql: string, columns: readonly EngineColumn[]): AsyncIterableIterator<EngineBatch> {
    yield* (await this.#engine()).stream(sql, columns);
  }

  async fill(
    table: string,
    columns: readonly TableColumn[],
    batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
    options?: FillOptions,
  ): Promise<void> {
    return (await this.#engine()).fill(table, columns, batches, options);
  }

  progress(): number | null {
    return this.#opened?.progress() ?? null;
  }

  interrupt(): void {
    if (this.#opened === null) this.#stops++;
    else this.#opened.interrupt();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Who asked hears of an opening that failed.
    const opened = await this.#opening?.catch(() => null);
    await opened?.close();
  }

  async #engine(): Promise<QueryEngine> {
    if (this.#isClosed) throw new OnefoldError("INTERNAL", "something is asked of an engine that was closed");
    if (this.#opened !== null) return this.#opened;
    const stops = this.#stops;
    this.#opening ??= this.#open();
    try {
      this.#opened = await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
    if (this.#stops !== stops) throw new OnefoldError("CANCELLED", "the work was cancelled");
    return this.#opened;
  }
}
