/**
 * Brings a view's states to the present: history first, then the live log.
 *
 * How far history has got into a view's states stands in the meta `built/<view@version>`. So a crash between
 * an import's commit and the folding of it is seen on opening, and the folding is done then:
 *
 * - the meta is of the present epoch and behind its history: the rest is folded into the same states (an
 *   import that only adds behind history is possible while the log is empty, so no live event is in them);
 * - the meta is of an earlier epoch, or absent: the whole history is folded into the states of a new space,
 *   beside the live ones, which catch up with the log and take their place at an exact position.
 */
import { OnefoldError } from "../base/errors.ts";
import { foldLetterPrefix } from "../ingest/fold-letters.ts";
import { rebuildView } from "../ingest/rebuild.ts";
import type { SourcePipeline } from "../ingest/source-pipeline.ts";
import { forgetView, type PipelineView, readStoredView, stateSpace } from "../ingest/view-runner.ts";
import type { ArchiveFiles, HistoryArchive } from "../offline-store/delta-event-archive.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";
import type { OnProgress, RuntimeContext } from "./runtime-context.ts";
import type { CatalogView } from "./view-catalog.ts";

/** How much of an epoch's history the states of a view hold, and which definition folded it. */
export interface HistoryPlace {
  readonly fingerprint: string;
  readonly epoch: number;
  /** Offset behind the last history event folded. */
  readonly end: number;
  /** Offset behind the last live event that was folded together with it. */
  readonly position: number;
}

/** Null where nothing was ever folded for the view. */
export function historyPlace(store: Pick<LocalOnlineStore, "getMeta">, view: CatalogView): HistoryPlace | null {
  const bytes = store.getMeta(builtMetaName(view.name));
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as HistoryPlace);
}

/** The view as its pipeline runs it. A draft may change at any time, so it has no table of feature rows. */
export function pipelineView({ definition, entity, fold, fingerprint }: CatalogView): PipelineView {
  if (definition.version !== "dev") return { definition, entity, fold };
  return { definition: { ...definition, offline: false }, entity, fold, draft: draftOf(fingerprint) };
}

/** Tells the definitions of a draft apart, in the ids of their dead letters. */
function draftOf(fingerprint: string): string {
  return fingerprint.slice(0, 12);
}

/**
 * Removes what was folded under the name of a draft that `isCurrent` does not know with its fingerprint: the draft
 * was changed, moved to another source, or dropped. Nothing may be folding it any more. Cut short, the states are
 * out of reach already, and a rebuild under the same name empties their space first.
 */
export async function forgetStaleDrafts(
  store: LocalOnlineStore,
  isCurrent: (view: string, fingerprint: string) => boolean,
): Promise<void> {
  for (const { name, bytes } of Array.from(store.scanMeta(builtMetaName("")))) {
    const view = name.slice(builtMetaName("").length);
    const { fingerprint, epoch } = JSON.parse(Buffer.from(bytes).toString("utf8")) as HistoryPlace;
    if (!view.endsWith("@dev") || isCurrent(view, fingerprint)) continue;
    const stored = readStoredView(store, view);
    await store.commitAlone([], [...forgetView(store, view), { name, bytes: null }]);
    await store.dropSpace(stored?.space ?? stateSpace(view, epoch));
  }
}

export class ViewBuilder {
  readonly #context: RuntimeContext;
  readonly #store: LocalOnlineStore;
  readonly #building = new Set<string>();

  constructor(context: RuntimeContext, store: LocalOnlineStore) {
    this.#context = context;
    this.#store = store;
  }

  get building(): readonly string[] {
    return [...this.#building].map((view) => `view ${view}`);
  }

  /** Whether the view ran before, so that it goes on from its stored place. */
  isStored(view: CatalogView): boolean {
    return readStoredView(this.#store, view.name) !== null;
  }

  /** Resolves once the view's states hold all history and all of the log, and it runs. */
  async bringUp(
    view: CatalogView,
    pipeline: SourcePipeline,
    archive: HistoryArchive,
    onProgress?: OnProgress,
  ): Promise<void> {
    const files = await archive.files();
    const runner = pipeline.runner(view.name);
    const place = historyPlace(this.#store, view);
    const isHere = place !== null && place.epoch === files.epoch && place.end === files.historyEnd;
    if (runner !== undefined && isHere && runner.epoch === files.epoch) return;
    this.#building.add(view.name);
    try {
      const space = stateSpace(view.name, files.epoch);
      const goesOn = place?.epoch === files.epoch;
      const { position } = isHere
        ? place
        : await this.#build(view, files, space, goesOn ? place : null, pipeline, onProgress);
      if (runner === undefined) {
        await pipeline.addView({ ...pipelineView(view), start: { epoch: files.epoch, position } });
        return;
      }
      if (runner.epoch === files.epoch && runner.position !== position) {
        throw new OnefoldError("INTERNAL", `history was added to ${view.name} behind live events it had folded`);
      }
      const former = runner.space;
      await pipeline.switchView(view.name, files.epoch, space, position);
      if (former !== space) await this.#store.dropSpace(former);
    } finally {
      this.#building.delete(view.name);
    }
  }

  /** Folds history (from where `goesOn` ends, or all of it, with the archived live events) into a space. */
  async #build(
    view: CatalogView,
    files: ArchiveFiles,
    space: string,
    goesOn: HistoryPlace | null,
    pipeline: SourcePipeline,
    onProgress?: OnProgress,
  ): Promise<HistoryPlace> {
    const position = goesOn === null ? files.liveEnd : goesOn.position;
    const { draft } = pipelineView(view);
    if (draft !== undefined) await retireLetters(pipeline, view.name, draft);
    const engine = await this.#context.openEngine();
    try {
      await rebuildView({
        source: view.source,
        view: { definition: view.definition, fold: view.fold, ...(draft === undefined ? {} : { draft }) },
        files,
        engine,
        log: pipeline.log,
        store: this.#store,
        space,
        epoch: files.epoch,
        upTo: position,
        deadLetters: pipeline.deadLetters,
        ...(goesOn === null ? {} : { continueFrom: goesOn.end }),
        ...(onProgress === undefined
          ? {}
          : {
              onProgress: (done: number, total: number) =>
                onProgress({ phase: `history into ${view.name}`, done, total }),
            }),
      });
    } finally {
      await engine.close();
    }
    const place: HistoryPlace = { fingerprint: view.fingerprint, epoch: files.epoch, end: files.historyEnd, position };
    await this.#store.commitAlone([], [placeMeta(view.name, place)]);
    return place;
  }
}

/** What other definitions of a draft refused is of no interest once the present one is folded from the start. */
async function retireLetters({ deadLetters }: SourcePipeline, view: string, draft: string): Promise<void> {
  const letters = await deadLetters.list({ stage: "fold", view, limit: Number.POSITIVE_INFINITY });
  const present = foldLetterPrefix(view, draft);
  await deadLetters.resolve(letters.map(({ id }) => id).filter((id) => !id.startsWith(present)));
}

function placeMeta(view: string, place: HistoryPlace): MetaWrite {
  return { name: builtMetaName(view), bytes: new Uint8Array(Buffer.from(JSON.stringify(place))) };
}

/** The meta that holds how far history has got into a view. */
export function builtMetaName(view: string): string {
  return `built/${view}`;
}
