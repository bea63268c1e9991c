/**
 * The batch engine in a process of its own, of a lower priority than the server that it is beside, and with memory of its own.
 *
 *     this process: who asks ──▶ one question after another, some batches ahead ──▶ engine-process: DuckDB
 *
 * A process that ends by itself fails whatever is asked of it, `ENGINE_ENDED`. It ends at once when this one does.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { programFile } from "../base/package-files.ts";
import { type StartedProcess, startHere, type StartProcess } from "../base/started-process.ts";
import { errorFromWire } from "../base/wire-error.ts";
import type { Value } from "../schema/value.ts";
import { openDuckDb } from "./open-duckdb.ts";
import type { EngineBatch, EngineColumn, EngineSettings, FillBatch, QueryEngine, TableColumn } from "./engine.ts";
import type { EngineAnswer, EngineQuestion, FromEngine, ToEngine } from "./engine-process.ts";

/** Batches on their way of one stream, of at most some thousand rows each: reading one takes a part of a millisecond. */
const BATCHES_AHEAD = 2;

/** Opens it; in this process where the other has no program to run (`programFile`). */
export async function openEngineApart(
  settings: EngineSettings = {},
  start: StartProcess = startHere,
): Promise<QueryEngine> {
  const program = programFile("offline-store/engine-process");
  if (program === null) return openDuckDb(settings);
  const spillFolder = await mkdtemp(join(settings.spillFolder ?? tmpdir(), "onefold-engine-"));
  const engine = new EngineApart(start(program), spillFolder);
  try {
    await engine.ask({ kind: "open", settings: { ...settings, spillFolder } });
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

interface Asked {
  resolve(answer: EngineAnswer): void;
  reject(error: unknown): void;
}

class EngineApart implements QueryEngine {
  readonly #child: StartedProcess;
  readonly #spillFolder: string;
  readonly #asked = new Map<number, Asked>();
  readonly #ended: Promise<void>;
  #nextId = 0;
  #progress: number | null = null;
  #failure: OnefoldError | null = null;

  constructor(child: StartedProcess, spillFolder: string) {
    this.#spillFolder = spillFolder;
    this.#child = child;
    this.#child.onMessage((message) => this.#hear(message as FromEngine));
    this.#ended = new Promise((resolve) => {
      this.#child.onEnd((how) => {
        this.#fail(how);
        resolve();
      });
    });
  }

  ask(question: EngineQuestion, id: number = this.#nextId++): Promise<EngineAnswer> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#tell({ kind: "ask", id, question });
    });
  }

  async run(sql: string): Promise<void> {
    await this.ask({ kind: "run", sql });
  }

  async rows(sql: string): Promise<Record<string, Value>[]> {
    return (await this.ask({ kind: "rows", sql })) as Record<string, Value>[];
  }

  async *stream(sql: string, columns: readonly EngineColumn[]): AsyncIterableIterator<EngineBatch> {
    const stream = this.#nextId++;
    await this.ask({ kind: "stream", sql, columns }, stream);
    const ahead: Promise<EngineAnswer>[] = [];
    try {
      for (;;) {
        while (ahead.length < BATCHES_AHEAD) {
          const next = this.ask({ kind: "next", stream });
          // A failure is reported when its turn comes, also where the consumer is slow.
          next.catch(() => {});
          ahead.push(next);
        }
        const batch = (await ahead.shift()!) as EngineBatch | null;
        if (batch === null) return;
        yield batch;
      }
    } finally {
      await this.ask({ kind: "stop", stream }).catch(() => {});
    }
  }

  async fill(
    table: string,
    columns: readonly TableColumn[],
    batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
  ): Promise<void> {
    const fill = this.#nextId++;
    await this.ask({ kind: "fill", table, columns }, fill);
    let isWhole = false;
    try {
      for await (const batch of batches) await this.ask({ kind: "batch", fill, batch });
      isWhole = true;
    } finally {
      const filled = this.ask({ kind: "filled", fill, isWhole });
      // Else what went wrong before is what is told.
      await (isWhole ? filled : filled.catch(() => {}));
    }
  }

  progress(): number | null {
    return this.#progress;
  }

  interrupt(): void {
    this.#tell({ kind: "interrupt" });
  }

  async close(): Promise<void> {
    this.#child.letGo();
    await this.#ended;
    await rm(this.#spillFolder, { recursive: true, force: true });
  }

  #tell(message: ToEngine): void {
    this.#child.send(message);
  }

  #hear(message: FromEngine): void {
    if (message.kind === "progress") {
      this.#progress = message.share;
      return;
    }
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (message.kind === "failed") asked?.reject(errorFromWire(message.error));
    else asked?.resolve(message.answer);
  }

  #fail(how: string): void {
    this.#failure ??= new OnefoldError("ENGINE_ENDED", `the process that scans and sorts events ended: ${how}`, {
      hint: "run it again; if the system ended it, look at the memory that the machine has left, and at the server's log",
    });
    for (const { reject } of this.#asked.values()) reject(this.#failure);
    this.#asked.clear();
  }
}
