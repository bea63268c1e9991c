/**
 * Brings a view's states to the present: history first, then the live log.
 *
 * How far history has got into a view's states stands in the meta `built/<view@version>`. So a crash between
 * an import's commit and the folding of it is seen on opening, and the folding is done then:
 *
 * - the meta is of the present epoch and behind its history: the rest is folded into the same states (an
 *   import that only adds behind history is possible while the log is empty, so no live event is in them);
 * - the meta is of an earlier epoch, or absent: the whole history is folded into the states of a new space,
 *   beside the live ones, which catch up with the log and take their place at an exact position. Where that was cut
 *   short it goes on from where it was (`backfill-place.ts`);
 * - the meta is ahead of the archive, whose table was restored to before an import, or behind it while live events are in the
 *   states: the same.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { type ArchiveFolder, foldArchiveWith } from "../ingest/archive-fold.ts";
import { foldLetterPrefix } from "../ingest/fold-letters.ts";
import { BackfillPace } from "../ingest/backfill-pace.ts";
import type { RebuildPlace } from "../ingest/rebuild-place.ts";
import { rebuildView, type RebuildRequest } from "../ingest/rebuild.ts";
import { forgetTotals } from "../ingest/space-totals.ts";
import type { SourcePipeline } from "../ingest/source-pipeline.ts";
import { readStoredView, stateSpace } from "../ingest/stored-view.ts";
import type { PipelineView, ViewRunner } from "../ingest/view-runner.ts";
import type { ArchiveFiles, HistoryArchive } from "../offline-store/delta-event-archive.ts";
import { filesBehind } from "../offline-store/event-archive.ts";
import { isGone, newerFiles } from "../offline-store/newer-files.ts";
import type { TableFile } from "../offline-store/offline-store.ts";
import type { MetaWrite, LocalOnlineStore, StateSpace } from "../online-store/online-store.ts";
import { backfillMeta, type BackfillPlace, readBackfill } from "./backfill-place.ts";
import { isDropping } from "./dropped-spaces.ts";
import { canFoldApart, foldArchiveApart } from "./fold-apart.ts";
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
  /** Where the states are; absent where an earlier version wrote it: the epoch's first space. */
  readonly space?: StateSpace;
  /** States that these have taken the place of, until they are removed. */
  readonly former?: StateSpace;
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

export interface BringUpOptions {
  /** Builds it anew though it stands: beside what is served, whose place it takes at an exact position. */
  readonly again?: boolean;
  readonly onProgress?: OnProgress | undefined;
  /** Stops a backfill, which goes on from there the next time. */
  readonly signal?: AbortSignal;
}

/** Ends of the engine's process between which a backfill got no further. */
const ENGINE_ENDS_MAX = 3;

/** Of states in one commit beside what is served: handing them over holds its thread up, a millisecond for so many. */
const COMMIT_BYTES_BESIDE = 96 * 1024;

/**
 * So many events are folded, in slices, before a process for them would have begun; and it would have to wait for its turn
 * wherever no core is idle.
 */
const FEW_EVENTS_MAX = 20_000;
/** Of them, as Parquet. */
const FEW_BYTES_MAX = 256 * 1024;

interface BuiltSource {
  readonly pipeline: SourcePipeline;
  readonly archive: HistoryArchive;
}

type RebuiltPart = Pick<RebuildRequest, "space" | "upTo" | "continueFrom" | "places">;

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

  /** Whether the view's states hold history that the archive has no more: its table was restored to before an import. */
  isAhead(view: CatalogView, { epoch, historyEnd }: ArchiveFiles): boolean {
    const place = historyPlace(this.#store, view);
    return place !== null && (place.epoch > epoch || (place.epoch === epoch && place.end > historyEnd));
  }

  /** Resolves once the view's states hold all history and all of the log, and it runs. Throws `CANCELLED`. */
  async bringUp(
    view: CatalogView,
    pipeline: SourcePipeline,
    archive: HistoryArchive,
    options: BringUpOptions = {},
  ): Promise<void> {
    const files = await archive.files();
    const runner = pipeline.runner(view.name);
    const place = historyPlace(this.#store, view);
    const isHere =
      place !== null &&
      place.epoch === files.epoch &&
      place.end === files.historyEnd &&
      options.again !== true &&
      readBackfill(this.#store, view.name) === null;
    const runsHere = runner !== undefined && runner.epoch === files.epoch;
    const { signal } = options;
    if (runsHere && isHere && runner.space === spaceOf(view, place)) return this.#dropFormer(view, place, signal);
    this.#building.add(view.name);
    try {
      const built = isHere ? place : await this.#build(view, files, runner, { pipeline, archive }, options);
      const { position } = built;
      const space = spaceOf(view, built);
      if (runner === undefined) {
        const start = { epoch: files.epoch, position, space };
        await pipeline.addView({ ...pipelineView(view), start }, new BackfillPace(this.#context.backfillBudget));
        await this.#dropFormer(view, built, signal);
        return;
      }
      const former = runner.space;
      if (runner.epoch === files.epoch && former === space && runner.position !== position) {
        throw new OnefoldError("INTERNAL", `history was added to ${view.name} behind live events it had folded`);
      }
      await pipeline.switchView(
        view.name,
        files.epoch,
        space,
        position,
        new BackfillPace(this.#context.backfillBudget),
      );
      await this.#dropFormer(view, { ...built, ...(former === space ? {} : { former }) }, signal);
    } finally {
      this.#building.delete(view.name);
    }
  }

  /** Folds history: what has come behind the states that there are, or all of it with the archived live events. */
  async #build(
    view: CatalogView,
    files: ArchiveFiles,
    runner: Pick<ViewRunner, "space" | "position"> | undefined,
    of: BuiltSource,
    options: BringUpOptions,
  ): Promise<HistoryPlace> {
    const { fingerprint, name } = view;
    const { epoch, historyEnd } = files;
    const live = runner?.space;
    const before = historyPlace(this.#store, view);
    const cutShort = readBackfill(this.#store, name);
    const isWanted = before?.epoch === epoch && options.again !== true && cutShort === null;
    // Behind live events no history can be folded.
    if (isWanted && before.end <= historyEnd && before.position === 0 && (runner?.position ?? 0) === 0) {
      const space = spaceOf(view, before);
      const { position, end } = before;
      await this.#fold(view, files, { space, upTo: position, continueFrom: end }, of, options);
      return this.#built(view, { fingerprint, epoch, end: historyEnd, position, space });
    }
    const isSame =
      cutShort?.fingerprint === fingerprint &&
      cutShort.epoch === epoch &&
      cutShort.historyEnd === historyEnd &&
      cutShort.upTo <= files.liveEnd &&
      cutShort.space !== live;
    const { signal } = options;
    const fresh = { fingerprint, epoch, historyEnd, upTo: files.liveEnd, space: this.#freeSpace(view, epoch, live) };
    const backfill: BackfillPlace = isSame ? cutShort : { ...fresh, place: null };
    if (!isSame && cutShort !== null && cutShort.space !== live) await this.#drop(cutShort.space, signal);
    await this.#store.commitAlone([], [backfillMeta(name, backfill)]);
    const { space, upTo } = backfill;
    // What is built takes the place of the meta that alone knows of these. From here on nobody takes them for built.
    const left = before === null ? [] : [before.former, spaceOf(view, before)];
    for (const each of left) if (each !== undefined && each !== live && each !== space) await this.#drop(each, signal);
    const places = {
      start: backfill.place,
      meta: (place: RebuildPlace) => backfillMeta(name, { ...backfill, place }),
    };
    await this.#fold(view, files, { space, upTo, places }, of, options);
    const former = live === undefined ? {} : { former: live };
    return this.#built(view, { fingerprint, epoch, end: historyEnd, position: upTo, space, ...former });
  }

  /**
   * Where the engine's process ends by itself it goes on with another, unless that gets it no further; where a file is deleted
   * before it was read, with those that hold the same events by then.
   */
  async #fold(
    view: CatalogView,
    listed: ArchiveFiles,
    part: RebuiltPart,
    { pipeline, archive }: BuiltSource,
    options: BringUpOptions,
  ): Promise<void> {
    const { draft } = pipelineView(view);
    if (draft !== undefined) await retireLetters(pipeline, view.name, draft);
    let files = listed;
    let start = part.places?.start ?? null;
    for (let ends = 0; ;) {
      const { places } = part;
      const request = { ...part, ...(places === undefined ? {} : { places: { ...places, start } }) };
      try {
        return await this.#foldOnce(view, files, request, pipeline, options);
      } catch (error) {
        if (!isOnefoldError(error) || options.signal?.aborted === true) throw error;
        if (isGone(error)) files = await sameEvents(archive, files, error);
        else if (error.code !== "ENGINE_ENDED") throw error;
        const before = start?.afterKey;
        start = readBackfill(this.#store, view.name)?.place ?? null;
        ends = start?.afterKey === before && !isGone(error) ? ends + 1 : 0;
        if (ends === ENGINE_ENDS_MAX) throw error;
      }
    }
  }

  async #foldOnce(
    view: CatalogView,
    files: ArchiveFiles,
    part: RebuiltPart,
    pipeline: SourcePipeline,
    { onProgress, signal }: BringUpOptions,
  ): Promise<void> {
    const { draft } = pipelineView(view);
    await this.#withFolder(view, files, part, signal, (foldArchive) =>
      rebuildView({
        source: view.source,
        view: { definition: view.definition, fold: view.fold, ...(draft === undefined ? {} : { draft }) },
        files,
        foldArchive,
        log: pipeline.log,
        store: this.#store,
        epoch: files.epoch,
        deadLetters: pipeline.deadLetters,
        ...part,
        pace: new BackfillPace(this.#context.backfillBudget),
        ...(this.#context.backfillBudget.share < 1 ? { commitBytesMax: COMMIT_BYTES_BESIDE } : {}),
        now: () => this.#context.clock.now(),
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined
          ? {}
          : {
              onProgress: (done: number, total: number) =>
                onProgress({ phase: `history into ${view.name}`, done, total }),
            }),
      }),
    );
  }

  /**
   * Lends what folds the archive: beside what is served another process, where that has the view's code; for a few events this
   * one's own engine, at once.
   */
  async #withFolder(
    { definition, source, entity }: CatalogView,
    files: ArchiveFiles,
    { continueFrom }: RebuiltPart,
    signal: AbortSignal | undefined,
    work: (foldArchive: ArchiveFolder) => Promise<unknown>,
  ): Promise<void> {
    const beside = this.#context.foldingBeside();
    if (beside !== null && areFew(filesBehind(files, definition.key))) {
      // What else is asked of that engine is not to be stopped with this, which ends at its next look at the signal.
      await work(foldArchiveWith(this.#context.engine));
      return;
    }
    if (beside !== null && continueFrom === undefined && canFoldApart(definition, source)) {
      await work(foldArchiveApart(entity, beside.settings, beside.start));
      return;
    }
    const engine = await this.#context.openEngineBeside();
    const interrupt = (): void => engine.interrupt();
    signal?.addEventListener("abort", interrupt);
    try {
      await work(foldArchiveWith(engine));
    } finally {
      signal?.removeEventListener("abort", interrupt);
      await engine.close();
    }
  }

  /** Cut short, it is done when the view is brought up the next time. */
  async #dropFormer(view: CatalogView, { former, ...place }: HistoryPlace, signal?: AbortSignal): Promise<void> {
    if (former === undefined || former === spaceOf(view, place)) return;
    await this.#drop(former, signal);
    await this.#store.commitAlone([], [placeMeta(view.name, place)]);
  }

  async #drop(space: StateSpace, signal?: AbortSignal): Promise<void> {
    await this.#store.dropSpace(space, new BackfillPace(this.#context.backfillBudget), signal);
    await this.#store.commitAlone([], forgetTotals(this.#store, space));
  }

  /** One of the epoch's that is neither served from nor still being removed. */
  #freeSpace(view: CatalogView, epoch: number, live: StateSpace | undefined): StateSpace {
    const first = stateSpace(view.name, epoch);
    let space = first;
    for (let n = 1; space === live || isDropping(this.#store, space); n++) space = `${first}.${n}`;
    return space;
  }

  async #built(view: CatalogView, place: HistoryPlace): Promise<HistoryPlace> {
    await this.#store.commitAlone([], [placeMeta(view.name, place), backfillMeta(view.name, null)]);
    return place;
  }
}

function areFew(files: readonly TableFile[]): boolean {
  const of = (count: (file: TableFile) => number): number => files.reduce((sum, file) => sum + count(file), 0);
  // A file without statistics may hold any number of events.
  const events = of(({ rows }) => (rows > 0 ? rows : Number.POSITIVE_INFINITY));
  return events <= FEW_EVENTS_MAX && of(({ bytes }) => bytes) <= FEW_BYTES_MAX;
}

/** Where the states stand that a place speaks for. */
function spaceOf(view: CatalogView, { epoch, space }: HistoryPlace): StateSpace {
  return space ?? stateSpace(view.name, epoch);
}

/** Newer files that hold all events of these; what is live may be more. Throws `why` where there are none. */
async function sameEvents(archive: HistoryArchive, gone: ArchiveFiles, why: unknown): Promise<ArchiveFiles> {
  const files = await newerFiles(archive, gone, why);
  if (files.epoch !== gone.epoch || files.historyEnd !== gone.historyEnd) throw why;
  return files;
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
