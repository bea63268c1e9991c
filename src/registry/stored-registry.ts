/**
 * The registry over a store of its content: everything in memory, changed whole.
 *
 * What is in memory is swapped only after the store has the new content, and one change waits for the one before it,
 * so a reader sees the registry before an apply or after it, never between.
 */
import { TurnQueue } from "../base/turn-queue.ts";
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { ExperimentDefinition } from "../define/experiment-definition.ts";
import type {
  Definition,
  EntityDefinition,
  OnDemandDefinition,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from "../define/definition.ts";
import { serviceReference } from "../define/service-version.ts";
import { appliedContent, definitionChanged, planOver } from "./applied-content.ts";
import { type Data, fromData } from "./definition-data.ts";
import { byKey, compareVersions, keyOf, shownName, versionOf } from "./definition-set.ts";
import { withoutDraft } from "./dropped-draft.ts";
import type { ExperimentStepAsked, RecordedStep } from "./experiment-state.ts";
import { recordedSteps, withStep } from "./experiment-steps.ts";
import { findDefinitions } from "./find-definitions.ts";
import { lineageOf } from "./lineage.ts";
import { codeProblemOf, type LoadedCode, withCode, withLoaded } from "./loaded-code.ts";
import { meantVersion } from "./meant-version.ts";
import { parseNamedVersion } from "./named-version.ts";
import { onDemandIsNoView } from "./on-demand-is-no-view.ts";
import { EMPTY_REGISTRY, type RegistryContent } from "./registry-content.ts";
import { type AliasMove, type AskedMove, nextMove } from "./alias-moves.ts";
import { readersOf, versionToRetire, withoutVersion } from "./retire-version.ts";
import type { AskedRetirement, RetiredVersion } from "./retired-version.ts";
import { stalePlan, stateOf } from "./registry-state.ts";
import type { RegistryNews, RegistryStore, StoredRegistryContent } from "./registry-store.ts";
import type {
  AppliedChange,
  ApplyConditions,
  FindQuery,
  LineageEdge,
  Plan,
  PlannedChange,
  Registered,
  Registry,
} from "./registry.ts";

/** A registry that another process may change. */
export interface SharedRegistry extends Registry {
  /**
   * Reads what is stored and attaches `definitions` to it, in one step for all who look; null leaves the code that
   * was loaded before. Throws `REGISTRY_CORRUPT`, and what a database fails with; then nothing has changed.
   */
  reload(definitions: readonly Definition[] | null): Promise<void>;
  /** Whether another process has changed it since it was read last. Throws what a database fails with. */
  isBehind(): Promise<boolean>;
  /** Calls back soon after another process has changed it, if it can. */
  watch(onNews: () => void): RegistryNews;
  close(): Promise<void>;
}

/** Throws `REGISTRY_CORRUPT`, and what a database fails with. */
export async function openRegistryOn(
  store: RegistryStore,
  options: { readonly clock: Clock },
): Promise<SharedRegistry> {
  const registry = new StoredRegistry(store, options.clock);
  await registry.reload([]);
  return registry;
}

class StoredRegistry implements SharedRegistry {
  readonly #store: RegistryStore;
  readonly #clock: Clock;
  #loaded: LoadedCode = new Map();
  #stored: StoredRegistryContent = { content: EMPTY_REGISTRY, revision: "not read yet" };
  #byKey: ReadonlyMap<string, Registered<Definition>> = new Map();
  #retired: readonly RetiredVersion[] = [];
  readonly #turns = new TurnQueue();

  constructor(store: RegistryStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  plan(definitions: readonly Definition[]): Plan {
    return planOver(definitions, this.#byKey, this.#stored.content);
  }

  state(): string {
    return stateOf(this.#stored.content);
  }

  apply(definitions: readonly Definition[], { onlyOver }: ApplyConditions = {}): Promise<Plan> {
    return this.#turns.take(async () => {
      let plan!: Plan;
      const stored = await this.#store.change((content) => {
        if (onlyOver !== undefined && stateOf(content) !== onlyOver) throw stalePlan(content);
        // What is there may be another's since this process last looked: it is planned on that.
        const registered = byKey(content.definitions);
        plan = planOver(definitions, registered, content);
        if (plan.refused) throw definitionChanged(plan);
        if (!plan.dirty) return null;
        return appliedContent(content, registered, definitions, plan, formatMicros(this.#clock.now()));
      });
      this.#take(stored, withLoaded(this.#loaded, definitions));
      return plan;
    });
  }

  dropDraft(name: string): Promise<PlannedChange> {
    return this.#turns.take(async () => {
      let dropped!: { readonly content: RegistryContent; readonly change: PlannedChange; readonly key: string };
      const at = formatMicros(this.#clock.now());
      const stored = await this.#store.change((content) => (dropped = withoutDraft(content, name, at)).content);
      const loaded = new Map(this.#loaded);
      loaded.delete(dropped.key);
      this.#take(stored, loaded);
      return dropped.change;
    });
  }

  stepExperiment(name: string, asked: ExperimentStepAsked, by: string | null): Promise<readonly RecordedStep[]> {
    return this.#turns.take(async () => {
      const at = formatMicros(this.#clock.now());
      const stored = await this.#store.change((content) => withStep(content, name, { ...asked, at, by }));
      this.#take(stored, this.#loaded);
      return this.experimentSteps(name);
    });
  }

  experimentSteps(name: string): readonly RecordedStep[] {
    return recordedSteps(this.#stored.content, this.experiment(name));
  }

  moveAlias(asked: AskedMove): Promise<AliasMove | null> {
    return this.#turns.take(async () => {
      let move: AliasMove | null = null;
      const now = this.#clock.now();
      const stored = await this.#store.change((content) => {
        const { aliasMoves = [] } = content;
        const definitions = content.definitions.map(({ definition }) => definition);
        move = nextMove({ definitions, moves: aliasMoves }, asked, now);
        return move === null ? null : { ...content, aliasMoves: [...aliasMoves, move] };
      });
      this.#take(stored, this.#loaded);
      return move;
    });
  }

  aliasMoves(): readonly AliasMove[] {
    return this.#stored.content.aliasMoves ?? [];
  }

  retire(asked: AskedRetirement): Promise<RetiredVersion> {
    return this.#turns.take(async () => {
      let retired!: RetiredVersion;
      const now = this.#clock.now();
      const stored = await this.#store.change((content) => {
        const without = withoutVersion(content, asked, now);
        retired = without.retired;
        return without.content;
      });
      this.#take(stored, this.#loaded);
      return retired;
    });
  }

  retired(): readonly RetiredVersion[] {
    return this.#retired;
  }

  readersOf(asked: Pick<AskedRetirement, "target" | "kind">): ReturnType<Registry["readersOf"]> {
    const { content } = this.#stored;
    const { definition } = versionToRetire(content, asked);
    return { definition, readers: readersOf(content, definition, this.#clock.now()) };
  }

  reload(definitions: readonly Definition[] | null): Promise<void> {
    return this.#turns.take(async () => {
      const stored = await this.#store.read();
      this.#take(stored, definitions === null ? this.#loaded : withLoaded(new Map(), definitions));
    });
  }

  async isBehind(): Promise<boolean> {
    return (await this.#store.revision()) !== this.#stored.revision;
  }

  watch(onNews: () => void): RegistryNews {
    return this.#store.watch(onNews);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  attachCode(definitions: readonly Definition[]): void {
    this.#take(this.#stored, withLoaded(this.#loaded, definitions));
  }

  /** One step for all who look. What did not change stays the very object that it was: what is made of it stands. */
  #take(stored: StoredRegistryContent, loaded: LoadedCode): void {
    const { definitions, retired = [] } = stored.content;
    this.#byKey = byKey(definitions.map((one) => withCode(one, loaded, this.#byKey)));
    const retiredBefore = byKey(this.#retired);
    this.#retired = retired.map((one) => withCode(one, loaded, retiredBefore));
    this.#stored = stored;
    this.#loaded = loaded;
  }

  codeProblem(definition: Parameters<Registry["codeProblem"]>[0]): OnefoldError | null {
    const key = keyOf(definition);
    const registered = this.#byKey.get(key) ?? this.#retired.find((one) => keyOf(one.definition) === key);
    return registered === undefined ? null : codeProblemOf(definition, registered, this.#loaded);
  }

  isLoaded(definition: Definition): boolean {
    return this.#loaded.has(keyOf(definition));
  }

  entities(): readonly Registered<EntityDefinition>[] {
    return this.#ofKinds<EntityDefinition>("entity");
  }

  sources(): readonly Registered<SourceDefinition>[] {
    return this.#ofKinds<SourceDefinition>("stream", "batch");
  }

  views(): readonly Registered<ViewDefinition>[] {
    return this.#ofKinds<ViewDefinition>("view");
  }

  onDemandViews(): readonly Registered<OnDemandDefinition>[] {
    return this.#ofKinds<OnDemandDefinition>("on-demand");
  }

  services(): readonly Registered<ServiceDefinition>[] {
    return this.#ofKinds<ServiceDefinition>("service");
  }

  experiments(): readonly Registered<ExperimentDefinition>[] {
    return this.#ofKinds<ExperimentDefinition>("experiment");
  }

  entity(name: string): Registered<EntityDefinition> {
    return found(this.entities(), name, "ENTITY_UNKNOWN", "entity");
  }

  source(name: string): Registered<SourceDefinition> {
    return found(this.sources(), name, "SOURCE_UNKNOWN", "source");
  }

  service(name: string): Registered<ServiceDefinition> {
    const named = parseNamedVersion(name);
    const all = this.services();
    const versions = all.filter(({ definition }) => definition.name === named.name);
    if (versions.length === 0) {
      refuseRetiredExperiment(name, this.retired());
      return found(all, named.name, "SERVICE_UNKNOWN", "service");
    }
    const wanted = meantVersion("service", versions, named, this.aliasMoves());
    if (wanted !== undefined) return wanted;
    throw new OnefoldError("SERVICE_UNKNOWN", `there is no service "${name}"`, {
      candidates: versions.map(({ definition }) => serviceReference(definition)),
    });
  }

  experiment(name: string): Registered<ExperimentDefinition> {
    return found(this.experiments(), name, "EXPERIMENT_UNKNOWN", "experiment");
  }

  serviceOfFingerprint(wanted: string): ServiceDefinition | null {
    const present = this.services().find((one) => one.fingerprint === wanted);
    if (present !== undefined) return present.definition;
    for (const { definition, fingerprint: loaded } of this.#loaded.values()) {
      if (loaded === wanted && definition.kind === "service") return definition;
    }
    for (const { replaced } of this.#stored.content.history) {
      const former = replaced.find((one) => one.fingerprint === wanted);
      if (former === undefined) continue;
      const definition = fromData(former.definition as Data);
      if (definition.kind === "service") return definition;
    }
    return null;
  }

  view(text: string, version?: number | "dev"): Registered<ViewDefinition> {
    const named = version === undefined ? parseNamedVersion(text) : { name: text, version };
    const { name } = named;
    const all = this.views();
    const versions = all.filter(({ definition }) => definition.name === name);
    const onDemand = this.onDemandViews().findLast(({ definition }) => definition.name === name);
    if (versions.length === 0 && onDemand !== undefined) throw onDemandIsNoView(onDemand.definition);
    if (versions.length === 0) return found(all, name, "VIEW_UNKNOWN", "view");
    const wanted = meantVersion("view", versions, named, this.aliasMoves());
    if (wanted !== undefined) return wanted;
    throw new OnefoldError(
      "VIEW_UNKNOWN",
      `there is no view "${version === undefined ? text : `${name}@${version}`}"`,
      {
        candidates: versions.map(({ definition }) => shownName(definition)),
      },
    );
  }

  find(query: FindQuery): readonly Registered<Definition>[] {
    // An entity that there is not has no definitions; who names one has misspelt it.
    if (query.entity !== undefined) this.entity(query.entity);
    return findDefinitions(this.#sorted(), query);
  }

  lineage(): readonly LineageEdge[] {
    return lineageOf(this.#sorted().map(({ definition }) => definition));
  }

  history(): readonly AppliedChange[] {
    return this.#stored.content.history;
  }

  #ofKinds<D extends Definition>(...kinds: readonly D["kind"][]): readonly Registered<D>[] {
    const registered = this.#sorted() as readonly Registered<D>[];
    return registered.filter(({ definition }) => kinds.includes(definition.kind));
  }

  /** By name, then by version. */
  #sorted(): readonly Registered<Definition>[] {
    return [...this.#byKey.values()].sort((a, b) => byNameAndVersion(a.definition, b.definition));
  }
}

function byNameAndVersion(a: Definition, b: Definition): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return compareVersions(versionOf(a) ?? "dev", versionOf(b) ?? "dev");
}

/** An experiment is asked for as a service is. */
function refuseRetiredExperiment(name: string, retired: readonly RetiredVersion[]): void {
  const gone = retired.findLast(({ definition }) => definition.kind === "experiment" && definition.name === name);
  if (gone === undefined) return;
  const { retiredAt, by } = gone;
  throw new OnefoldError(
    "SERVICE_UNKNOWN",
    `there is no service "${name}": the experiment of this name was retired at ${retiredAt} by ${by}`,
    { hint: "ask for the service that it compared" },
  );
}

function found<D extends Definition>(
  all: readonly Registered<D>[],
  name: string,
  code: ErrorCode,
  what: string,
): Registered<D> {
  const one = all.find(({ definition }) => definition.name === name);
  if (one !== undefined) return one;
  const names = all.map(({ definition }) => definition.name);
  throw new OnefoldError(code, `there is no ${what} "${name}"`, { candidates: nearestNames(name, names) });
}
