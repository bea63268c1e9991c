/**
 * Dead letters of all sources, for whoever looks after them: list them, push them again, and resolve those that
 * cannot be.
 */
import { join } from "node:path";
import { type DeadLetterFilter, DeadLetters } from "../ingest/dead-letters.ts";
import { diskStorage } from "../ingest/disk-storage.ts";
import type { DeadLetter } from "../ingest/pipeline.ts";
import type { ReplayResult } from "../ingest/dead-letter-replay.ts";
import { OnefoldError } from "../base/errors.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

export type { ReplayResult } from "../ingest/dead-letter-replay.ts";

/** Which letters are meant. */
export type LetterChoice = Pick<DeadLetterFilter, "stage" | "view" | "code" | "ids">;

export interface DeadLetterSurvey {
  readonly letters: readonly DeadLetter[];
  readonly dropped: number;
}

export class DeadLetterDesk {
  readonly #context: RuntimeContext;
  readonly #sources: SourceRuntimes | null;

  constructor(context: RuntimeContext, sources: SourceRuntimes | null) {
    this.#context = context;
    this.#sources = sources;
  }

  /** Of one source or of all, oldest first. Throws `SOURCE_UNKNOWN`. */
  async list(filter: DeadLetterFilter & { readonly source?: string } = {}): Promise<readonly DeadLetter[]> {
    return (await this.survey(filter)).letters;
  }

  /** As `list`, and how many older letters of these sources were dropped unresolved, to make room for newer ones. */
  async survey(filter: DeadLetterFilter & { readonly source?: string } = {}): Promise<DeadLetterSurvey> {
    const { registry } = this.#context;
    const names =
      filter.source === undefined
        ? registry.sources().map(({ definition }) => definition.name)
        : [registry.source(filter.source).definition.name];
    const found = await Promise.all(names.map((name) => this.#listOf(name, filter)));
    return {
      letters: found.flatMap(({ letters }) => letters).slice(0, filter.limit ?? Number.POSITIVE_INFINITY),
      dropped: found.reduce((sum, { dropped }) => sum + dropped, 0),
    };
  }

  /** Pushes letters again; those that get in are marked as resolved. */
  replay(request: { readonly source: string; readonly ids: readonly string[] | "all" }): Promise<ReplayResult> {
    return this.#own("push dead letters again").get(request.source).replayDeadLetters(request.ids);
  }

  /**
   * Marks the open letters that all of `filter` applies to as resolved, for good, and says how many there were: for
   * those that cannot be pushed again, or need not be. Throws `SOURCE_UNKNOWN`, `STORAGE_LOCKED`.
   */
  async resolve(request: { readonly source: string; readonly filter: LetterChoice }): Promise<number> {
    const { deadLetters } = this.#own("resolve dead letters").get(request.source);
    const letters = await deadLetters.list({ ...request.filter, limit: Number.POSITIVE_INFINITY });
    return deadLetters.acknowledge(letters.map(({ id }) => id));
  }

  #own(work: string): SourceRuntimes {
    if (this.#sources !== null) return this.#sources;
    throw new OnefoldError("STORAGE_LOCKED", `beside the owner of the data folder one can only read, not ${work}`, {
      where: this.#context.dataDir,
      hint: "stop the process that owns the data folder, if one does, and try again",
    });
  }

  async #listOf(source: string, filter: DeadLetterFilter): Promise<DeadLetterSurvey> {
    if (this.#sources !== null) {
      const { deadLetters } = this.#sources.get(source);
      return { letters: await deadLetters.list(filter), dropped: deadLetters.droppedCount };
    }
    const { clock, dataDir } = this.#context;
    const folder = join(dataDir, "dead-letters", source);
    const letters = await DeadLetters.open({ storage: diskStorage, folder, source, clock, readOnly: true });
    try {
      return { letters: await letters.list(filter), dropped: letters.droppedCount };
    } finally {
      await letters.close();
    }
  }
}
