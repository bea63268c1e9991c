/**
 * Archived events folded in a process of its own, which makes way: what computes a view anew beside a server takes
 * neither the thread that answers nor its memory. States come in parts, some ahead of the one that is being written.
 *
 * The process is idle. Where others leave it no core, another takes over at the place of its last part, of a lower priority
 * alone. A process that ends by itself fails the fold, `ENGINE_ENDED`. It ends at once when this one does, or when nobody takes
 * parts any more.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { programFile } from "../base/package-files.ts";
import { type StartedProcess, startHere, type StartProcess } from "../base/started-process.ts";
import { errorFromWire } from "../base/wire-error.ts";
import {
  type EntityDefinition,
  formatViewName,
  type SourceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import type { ArchiveFolder, ArchiveFoldRequest, FoldedPart } from "../ingest/archive-fold.ts";
import type { EngineSettings } from "../offline-store/engine.ts";
import { isPlainData } from "../training/join-threads.ts";
import type { FoldWork, FromFold, ToFold } from "./fold-process.ts";

/** Whether another process can fold it: one with functions of its own only this one has the code of. */
export function canFoldApart(view: ViewDefinition, source: SourceDefinition): boolean {
  return isPlainData([view, source]) && programPath() !== null;
}

/** For views that `canFoldApart`, and not to continue states that are here. */
export function foldArchiveApart(
  entity: EntityDefinition,
  settings: EngineSettings,
  start: StartProcess = startHere,
): ArchiveFolder {
  return async function* parts(request) {
    let place = request.start;
    try {
      for await (const part of partsOf(entity, settings, (program) => start(program, { isIdle: true }), request)) {
        place = part.place;
        yield part;
      }
    } catch (error) {
      if (!(error instanceof Starved)) throw error;
      // No user may take a process of theirs out of the idle class again, so another goes on.
      yield* partsOf(entity, settings, (program) => start(program), { ...request, start: place });
    }
  };
}

/** An idle process was left no core. */
class Starved extends Error {}

function programPath(): string | null {
  return programFile("platform/fold-process");
}

async function* partsOf(
  entity: EntityDefinition,
  settings: EngineSettings,
  start: (program: string) => StartedProcess,
  request: ArchiveFoldRequest,
): AsyncIterableIterator<FoldedPart> {
  const { view, signal } = request;
  const spillFolder = await mkdtemp(join(settings.spillFolder ?? tmpdir(), "onefold-fold-"));
  const child = start(programPath()!);
  const heard = new Heard(child, request.onEvents);
  const cancel = (): void => {
    heard.fail(new OnefoldError("CANCELLED", `rebuilding ${formatViewName(view.definition)} was cancelled`));
  };
  signal?.addEventListener("abort", cancel);
  try {
    if (signal?.aborted === true) cancel();
    tell(child, { kind: "work", work: workOf(entity, { ...settings, spillFolder }, request) });
    for (;;) {
      const part = await heard.next();
      if (part === null) return;
      yield part;
      tell(child, { kind: "taken" });
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    child.letGo();
    const isGone = heard.ended.then(() => rm(spillFolder, { recursive: true, force: true }));
    // One that is left no core is left none to end in: the next does not wait for it.
    if (heard.isStarved) isGone.catch(() => undefined);
    else await isGone;
  }
}

function workOf(
  entity: EntityDefinition,
  settings: FoldWork["settings"],
  { source, view, files, upTo, start, partBytesMax }: ArchiveFoldRequest,
): FoldWork {
  const { definition, draft } = view;
  const { epoch, history, live, liveEnd, historyEnd, lastKnownTime } = files;
  return {
    settings,
    source,
    definition,
    entity,
    ...(draft === undefined ? {} : { draft }),
    files: { epoch, history, live, liveEnd, historyEnd, lastKnownTime },
    upTo,
    start,
    partBytesMax,
  };
}

function tell(child: StartedProcess, message: ToFold): void {
  child.send(message);
}

/** What a process says, until it ends or fails. */
class Heard {
  readonly ended: Promise<void>;
  readonly #parts: FoldedPart[] = [];
  #isWhole = false;
  #failure: unknown = null;
  #wake: () => void = () => {};
  isStarved = false;

  constructor(child: StartedProcess, onEvents: ArchiveFoldRequest["onEvents"]) {
    child.onMessage((said) => {
      const message = said as FromFold;
      if (message.kind === "events") onEvents?.(message.done);
      else if (message.kind === "failed") this.fail(errorFromWire(message.error));
      else {
        if (message.kind === "part") this.#parts.push(message.part);
        else this.#isWhole = true;
        this.#wake();
      }
    });
    child.onStarved(() => {
      this.isStarved = true;
      this.fail(new Starved());
    });
    this.ended = new Promise((resolve) => {
      child.onEnd((how) => {
        this.fail(ended(how));
        resolve();
      });
    });
  }

  /** Null once all were given. */
  async next(): Promise<FoldedPart | null> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) return part;
      if (this.#isWhole) return null;
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  fail(failure: unknown): void {
    this.#failure ??= failure;
    this.#wake();
  }
}

function ended(how: string): OnefoldError {
  return new OnefoldError("ENGINE_ENDED", `the process that sorts and folds events ended: ${how}`, {
    hint: "run it again; if the system ended it, look at the memory that the machine has left, and at the server's log",
  });
}
