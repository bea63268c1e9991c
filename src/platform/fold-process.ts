/**
 * The program of a process that folds archived events into a view's states, of a lower priority than whoever asks, and hands
 * them over in parts. It ends when it is let go, or at once when the asker is gone. See `fold-apart.ts`.
 */
import { hearStarter, sayToStarter } from "../base/forked-program.ts";
import { errorToWire, type WireError } from "../base/wire-error.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { compileViewFold } from "../fold/compile.ts";
import { type FoldedPart, foldArchiveWith } from "../ingest/archive-fold.ts";
import type { RebuildPlace } from "../ingest/rebuild-place.ts";
import { openDuckDb } from "../offline-store/duckdb.ts";
import type { EngineSettings } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";

/** Plain data. */
export interface FoldWork {
  /** The folder for spilled data is the process's alone, and gone when it ends. */
  readonly settings: EngineSettings & { readonly spillFolder: string };
  readonly source: SourceDefinition;
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly draft?: string;
  readonly files: EventFiles;
  readonly upTo: number;
  readonly start: RebuildPlace | null;
  readonly partBytesMax: number;
}

export type ToFold = { readonly kind: "work"; readonly work: FoldWork } | { readonly kind: "taken" };

export type FromFold =
  | { readonly kind: "part"; readonly part: FoldedPart }
  | { readonly kind: "events"; readonly done: number }
  | { readonly kind: "failed"; readonly error: WireError }
  | { readonly kind: "end" };

/** Parts on their way: the next is folded while one is written. */
const PARTS_AHEAD = 2;
/** Between two words on how far it is. */
const PROGRESS_MILLIS = 200;

let spillFolder: string | null = null;
let partsOnTheirWay = 0;
let onTaken: () => void = () => {};

async function fold({ settings, source, definition, entity, draft, ...asked }: FoldWork): Promise<void> {
  spillFolder = settings.spillFolder;
  const engine = await openDuckDb(settings);
  let saidMs = 0;
  const parts = foldArchiveWith(engine)({
    ...asked,
    source,
    view: {
      definition,
      fold: compileViewFold(definition, source, entity),
      ...(draft === undefined ? {} : { draft }),
    },
    onEvents: (done) => {
      if (performance.now() - saidMs < PROGRESS_MILLIS) return;
      saidMs = performance.now();
      say({ kind: "events", done });
    },
  });
  for await (const part of parts) {
    // What was taken counts down meanwhile, and wakes this.
    if (partsOnTheirWay === PARTS_AHEAD) await new Promise<void>((resolve) => (onTaken = resolve));
    partsOnTheirWay++;
    say({ kind: "part", part });
  }
  await engine.close();
}

function say(message: FromFold): void {
  sayToStarter(message);
}

function hear(message: ToFold): void {
  if (message.kind === "taken") {
    partsOnTheirWay--;
    onTaken();
    return;
  }
  fold(message.work).then(
    () => say({ kind: "end" }),
    (error: unknown) => say({ kind: "failed", error: errorToWire(error) }),
  );
}

hearStarter(hear, { spillFolder: () => spillFolder });
