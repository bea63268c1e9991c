/**
 * The inner loop of `onefold dev`: one cycle loads the definitions, says what changed, computes the previews, and
 * then applies the drafts, for whose rebuilding no preview waits. From one cycle to the next it keeps the platform, the engine and the sampled events, so
 * that the second preview is quicker than the first.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import { type Definition, formatViewName, type ViewDefinition } from "../define/definition.ts";
import type { openSampleKeeper, Platform } from "../platform.ts";
import type { LocalEvents } from "../platform/local-events.ts";
import { shownName } from "../registry/definition-set.ts";
import { changesBetween, planChanges } from "../registry/plan.ts";
import type { Plan, PlannedChange } from "../registry/registry.ts";
import { isDraft, readyDrafts } from "./dev-drafts.ts";
import { DevHouse } from "./dev-house.ts";
import { parseViewName } from "./option-values.ts";
import { previewError, type ShownPreview, shownPreview } from "./preview-text.ts";
import type { OnProgress } from "./progress.ts";

export interface DevSessionOptions {
  readonly definitionsFile: string;
  readonly dataDir: string;
  readonly registry?: string;
  /** Views to preview; none: drafts and registered versions that would change, else what changed, else all. */
  readonly views: readonly string[];
  readonly entityCount: number;
  /** Instead of the data folder. */
  readonly localEvents: LocalEvents | null;
  /** The data folder must be owned: it is going to be served. */
  readonly serves: boolean;
}

export interface DevView {
  readonly view: string;
  readonly preview?: ShownPreview;
  /** Why there is no preview. */
  readonly error?: OnefoldError;
  readonly elapsedMs: number;
}

export interface DevCycle {
  /** Against the cycle before that succeeded; at first against the registry. */
  readonly changes: readonly PlannedChange[];
  /** What `apply` will say to versions that are registered and changed. */
  readonly notes: readonly string[];
  readonly views: readonly DevView[];
  readonly elapsedMs: number;
}

export interface AppliedDrafts {
  /** Drafts that stand in the registry as in the file, their states rebuilt. */
  readonly applied: readonly string[];
  /** By `name@dev`: why another is not. */
  readonly waiting: Readonly<Record<string, string>>;
  readonly elapsedMs: number;
}

type Keeper = Awaited<ReturnType<typeof openSampleKeeper>>;

export class DevSession {
  readonly #options: DevSessionOptions;
  readonly #house: DevHouse;
  readonly #shown = new Map<string, ShownPreview>();
  #keeper: Keeper | null = null;
  #definitions: readonly Definition[] | null = null;
  #files: readonly string[];

  constructor(options: DevSessionOptions) {
    this.#options = options;
    this.#house = new DevHouse({
      dataDir: options.dataDir,
      ...(options.registry === undefined ? {} : { registry: options.registry }),
      mustOwn: options.serves,
    });
    this.#files = [options.definitionsFile];
  }

  /** The definitions file and all that it imported when it could last be loaded. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** Throws what is wrong with the definitions; the next cycle starts where the last good one ended. */
  async look(): Promise<DevCycle> {
    const began = performance.now();
    const { loadDefinitions } = await import("./load-definitions.ts");
    const { definitions, files } = await loadDefinitions(this.#options.definitionsFile);
    this.#files = files;
    const platform = await this.#platform(definitions);
    const plan = platform === null ? planChanges(definitions, new Map()) : platform.plan(definitions);
    const changes =
      this.#definitions === null
        ? plan.changes.filter(({ change }) => change !== "unchanged")
        : changesBetween(this.#definitions, definitions);
    this.#definitions = definitions;
    const notes = platform === null ? [] : versionNotes(plan);
    const views: DevView[] = [];
    for (const view of this.#wanted(definitions, plan)) views.push(await this.#preview(view, definitions, platform));
    return { changes, notes, views, elapsedMs: elapsed(began) };
  }

  /** Registers the drafts of the last cycle and rebuilds those that changed; null where there are none. */
  async applyDrafts(onProgress: OnProgress): Promise<AppliedDrafts | null> {
    const definitions = this.#definitions ?? [];
    const platform = await this.#platform(definitions);
    if (platform === null || !definitions.some(isDraft)) return null;
    const began = performance.now();
    const ready = readyDrafts(definitions, platform.plan(definitions));
    const waiting = Object.fromEntries(ready.waiting);
    const drafts = ready.definitions.filter(isDraft).map(shownName);
    if (this.#house.isOwner) {
      if (drafts.length > 0) await platform.apply(ready.definitions, { onProgress });
      return { applied: drafts, waiting, elapsedMs: elapsed(began) };
    }
    for (const draft of drafts) waiting[draft] = "another process owns the data folder, so this only previews";
    return { applied: [], waiting, elapsedMs: elapsed(began) };
  }

  /** The platform that is owned; null before the first good cycle. */
  async owned(): Promise<Platform | null> {
    return this.#house.isOwner ? this.#house.enter([], true) : null;
  }

  async close(): Promise<void> {
    await this.#keeper?.close();
    await this.#options.localEvents?.close();
    await this.#house.close();
  }

  /** Null where the events are those of local files. */
  async #platform(definitions: readonly Definition[]): Promise<Platform | null> {
    if (this.#options.localEvents !== null) return null;
    return this.#house.enter(definitions, definitions.some(isDraft));
  }

  #wanted(definitions: readonly Definition[], plan: Plan): { name: string; view: string; version?: number | "dev" }[] {
    if (this.#options.views.length > 0) {
      return this.#options.views.map((name) => ({ name, ...parseViewName(name) }));
    }
    const views = definitions.filter((one): one is ViewDefinition => one.kind === "view");
    const changeOf = new Map(
      plan.changes.filter(({ kind }) => kind === "view").map(({ name, change }) => [name, change]),
    );
    const stateOf = (view: ViewDefinition): string => changeOf.get(formatViewName(view)) ?? "unchanged";
    const choices = [
      views.some(isDraft) ? views.filter((view) => isDraft(view) || stateOf(view) === "refuse") : [],
      views.filter((view) => stateOf(view) !== "unchanged"),
      views,
    ];
    const chosen = choices.find((choice) => choice.length > 0) ?? [];
    return chosen.map((view) => ({ name: formatViewName(view), view: view.name, version: view.version }));
  }

  async #preview(
    { name, ...wanted }: { readonly name: string; readonly view: string; readonly version?: number | "dev" },
    definitions: readonly Definition[],
    platform: Platform | null,
  ): Promise<DevView> {
    const began = performance.now();
    try {
      this.#keeper ??= await (await import("../platform.ts")).openSampleKeeper();
      const { entityCount, localEvents } = this.#options;
      const options = { ...wanted, definitions, entityCount, keeper: this.#keeper };
      const preview = await (platform ?? localEvents!).preview(options);
      const shown = shownPreview(preview, this.#shown.get(name));
      this.#shown.set(name, shown);
      return { view: name, preview: shown, elapsedMs: elapsed(began) };
    } catch (error) {
      return { view: name, error: previewError(asOnefoldError(error)), elapsedMs: elapsed(began) };
    }
  }
}

/** What `apply` will say to changed versions. */
function versionNotes(plan: Plan): string[] {
  return plan.changes
    .filter(({ change }) => change === "refuse")
    .map(({ kind, name, details }) => `${kind} ${name} is registered, and apply will refuse this: ${details.at(-1)}`);
}

function elapsed(beganMs: number): number {
  return Math.round(performance.now() - beganMs);
}
