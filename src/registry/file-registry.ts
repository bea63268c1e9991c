/**
 * The registry on one file: everything in memory, written whole on each apply.
 *
 * `apply` swaps the content in memory only after the file is durable, and one apply waits for the one
 * before it, so a reader sees the registry before an apply or after it, never between.
 */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type {
  Definition,
  EntityDefinition,
  FeatureReference,
  OnDemandDefinition,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from "../define/definition.ts";
import { type Data, fromData, hasCode, toData } from "./definition-data.ts";
import { compareVersions, keyOf, shownName } from "./definition-set.ts";
import { fingerprint } from "./fingerprint.ts";
import { lineageOf } from "./lineage.ts";
import { onDemandIsNoView } from "./on-demand-is-no-view.ts";
import { describeChange, planChanges } from "./plan.ts";
import { readRegistryFile, type RegistryContent, writeRegistryFile } from "./registry-file.ts";
import type { AppliedChange, FindQuery, LineageEdge, Plan, PlannedChange, Registered, Registry } from "./registry.ts";

/** Opens `registry.json` in `folder`, which need not exist. Throws `REGISTRY_CORRUPT`. */
export async function openFileRegistry(folder: string, options: { readonly clock: Clock }): Promise<SharedRegistry> {
  const file = join(folder, "registry.json");
  return new FileRegistry(file, options.clock, await readRegistryFile(file));
}

/** A registry whose file another process may write. */
export interface SharedRegistry extends Registry {
  /** Reads the file anew and attaches `definitions` to it, in one step for all who look. Throws `REGISTRY_CORRUPT`. */
  reload(definitions: readonly Definition[]): Promise<void>;
}

class FileRegistry implements SharedRegistry {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #loaded = new Map<string, { readonly definition: Definition; readonly fingerprint: string }>();
  #content: RegistryContent;
  #byKey: ReadonlyMap<string, Registered<Definition>>;
  #applying: Promise<unknown> = Promise.resolve();

  constructor(file: string, clock: Clock, content: RegistryContent) {
    this.#file = file;
    this.#clock = clock;
    this.#content = content;
    this.#byKey = byKey(content.definitions);
  }

  plan(definitions: readonly Definition[]): Plan {
    const registered = [...this.#byKey].map(([key, { definition }]): [string, Definition] => [key, definition]);
    return planChanges(definitions, new Map(registered));
  }

  apply(definitions: readonly Definition[]): Promise<Plan> {
    const result = this.#applying.then(() => this.#applyNow(definitions));
    this.#applying = result.catch(() => undefined);
    return result;
  }

  async #applyNow(definitions: readonly Definition[]): Promise<Plan> {
    const plan = this.plan(definitions);
    if (plan.refused) throw changed(plan);
    if (plan.dirty) {
      const content = this.#next(definitions, plan);
      await writeRegistryFile(this.#file, content);
      this.#content = content;
      this.#byKey = byKey(content.definitions);
    }
    this.attachCode(definitions);
    return plan;
  }

  dropDraft(name: string): Promise<PlannedChange> {
    const result = this.#applying.then(() => this.#dropNow(name));
    this.#applying = result.catch(() => undefined);
    return result;
  }

  async #dropNow(name: string): Promise<PlannedChange> {
    const dropped = this.find({ name, version: "dev" })[0];
    if (dropped === undefined) {
      const drafts = this.find({ version: "dev" }).map(({ definition }) => definition.name);
      throw new OnefoldError("VIEW_UNKNOWN", `there is no draft "${name}@dev"`, {
        candidates: nearestNames(name, drafts).map((near) => `${near}@dev`),
      });
    }
    const { definition } = dropped;
    const reads = (one: OnDemandDefinition): boolean =>
      one.inputs.some(({ view, version }) => view === name && version === "dev");
    const reader = this.onDemandViews().find((one) => reads(one.definition));
    if (reader !== undefined) {
      const computed = shownName(reader.definition);
      throw new OnefoldError("DEFINITION_INVALID", `${computed} is computed from ${name}@dev`, {
        hint: `drop ${computed} first`,
      });
    }
    const change = describeChange("remove", definition);
    const replaced = [{ name: change.name, fingerprint: dropped.fingerprint, definition: toData(definition) }];
    const applied: AppliedChange = { at: formatMicros(this.#clock.now()), changes: [change], replaced };
    const key = keyOf(definition);
    const kept = [...this.#byKey].filter(([each]) => each !== key).map(([, registered]) => registered);
    const content = { definitions: kept, history: [...this.#content.history, applied] };
    await writeRegistryFile(this.#file, content);
    this.#content = content;
    this.#byKey = byKey(kept);
    this.#loaded.delete(key);
    return change;
  }

  #next(definitions: readonly Definition[], plan: Plan): RegistryContent {
    const at = formatMicros(this.#clock.now());
    const next = new Map(this.#byKey);
    const replaced: AppliedChange["replaced"][number][] = [];
    for (const definition of new Map(definitions.map((one) => [keyOf(one), one])).values()) {
      const before = next.get(keyOf(definition));
      const hash = fingerprint(definition);
      const isSame =
        before !== undefined && JSON.stringify(toData(before.definition)) === JSON.stringify(toData(definition));
      if (isSame) continue;
      if (before !== undefined && before.fingerprint !== hash) {
        replaced.push({
          name: shownName(definition),
          fingerprint: before.fingerprint,
          definition: toData(before.definition),
        });
      }
      next.set(keyOf(definition), { definition, fingerprint: hash, createdAt: before?.createdAt ?? at });
    }
    const changes = plan.changes.filter((change) => change.change !== "unchanged");
    return { definitions: [...next.values()], history: [...this.#content.history, { at, changes, replaced }] };
  }

  async reload(definitions: readonly Definition[]): Promise<void> {
    const content = await readRegistryFile(this.#file);
    this.#content = content;
    this.#byKey = byKey(content.definitions);
    this.#loaded.clear();
    this.attachCode(definitions);
  }

  attachCode(definitions: readonly Definition[]): void {
    const attached = new Map(this.#byKey);
    for (const definition of definitions) {
      const key = keyOf(definition);
      const hash = fingerprint(definition);
      this.#loaded.set(key, { definition, fingerprint: hash });
      const registered = attached.get(key);
      if (registered?.fingerprint === hash) attached.set(key, { ...registered, definition });
    }
    this.#byKey = attached;
  }

  codeProblem(definition: ViewDefinition | OnDemandDefinition | ServiceDefinition): OnefoldError | null {
    const key = keyOf(definition);
    const registered = this.#byKey.get(key);
    const loaded = this.#loaded.get(key);
    if (registered === undefined) return null;
    // A service may be computed as it was before it was redefined; what it refers to stands for itself.
    const isService = definition.kind === "service";
    if (isService && !hasCode(definition)) return null;
    const wanted = isService ? fingerprint(definition) : registered.fingerprint;
    const name = shownName(definition);
    if (loaded === undefined) {
      if (!isService && !hasCode(registered.definition)) return null;
      return new OnefoldError("FINGERPRINT_MISMATCH", `${name} has functions of its own, and its code is not loaded`, {
        hint: "start with the definitions file that registered it",
      });
    }
    if (loaded.fingerprint === wanted) return null;
    const { definedAt } = loaded.definition;
    return new OnefoldError(
      "FINGERPRINT_MISMATCH",
      `the loaded ${name} (${loaded.fingerprint.slice(0, 12)}) is not the registered one (${wanted.slice(0, 12)})`,
      {
        hint: "load the definitions that were applied, or apply these under a new version",
        ...(definedAt === undefined ? {} : { where: `${definedAt.file}:${definedAt.line}` }),
      },
    );
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

  entity(name: string): Registered<EntityDefinition> {
    return found(this.entities(), name, "ENTITY_UNKNOWN", "entity");
  }

  source(name: string): Registered<SourceDefinition> {
    return found(this.sources(), name, "SOURCE_UNKNOWN", "source");
  }

  service(name: string): Registered<ServiceDefinition> {
    return found(this.services(), name, "SERVICE_UNKNOWN", "service");
  }

  serviceOfFingerprint(wanted: string): ServiceDefinition | null {
    const present = this.services().find((one) => one.fingerprint === wanted);
    if (present !== undefined) return present.definition;
    for (const { definition, fingerprint: loaded } of this.#loaded.values()) {
      if (loaded === wanted && definition.kind === "service") return definition;
    }
    for (const { replaced } of this.#content.history) {
      const former = replaced.find((one) => one.fingerprint === wanted);
      if (former === undefined) continue;
      const definition = fromData(former.definition as Data);
      if (definition.kind === "service") return definition;
    }
    return null;
  }

  view(name: string, version?: number | "dev"): Registered<ViewDefinition> {
    const all = this.views();
    const versions = all.filter(({ definition }) => definition.name === name);
    const onDemand = this.onDemandViews().findLast(({ definition }) => definition.name === name);
    if (versions.length === 0 && onDemand !== undefined) throw onDemandIsNoView(onDemand.definition);
    if (versions.length === 0) return found(all, name, "VIEW_UNKNOWN", "view");
    // Listed by version, so the last one is the highest.
    const wanted =
      version === undefined ? versions.at(-1) : versions.find(({ definition }) => definition.version === version);
    if (wanted !== undefined) return wanted;
    throw new OnefoldError("VIEW_UNKNOWN", `there is no view "${name}@${version}"`, {
      candidates: versions.map(({ definition }) => shownName(definition)),
    });
  }

  find(query: FindQuery): readonly Registered<Definition>[] {
    return this.#sorted().filter(
      ({ definition }) => matches(definition, query) && this.#isOfEntity(definition, query.entity),
    );
  }

  /** An entity's are itself, its views, the sources they fold, and whatever reads one of their features. */
  #isOfEntity(definition: Definition, entity: string | undefined): boolean {
    if (entity === undefined) return true;
    const views = this.views().filter((view) => view.definition.entity === entity);
    const isRead = ({ view, version }: FeatureReference): boolean => {
      if (views.some((one) => one.definition.name === view && one.definition.version === version)) return true;
      const computed = this.onDemandViews().find(
        (one) => one.definition.name === view && one.definition.version === version,
      );
      return computed?.definition.inputs.some(isRead) ?? false;
    };
    switch (definition.kind) {
      case "entity":
        return definition.name === entity;
      case "stream":
      case "batch":
        return views.some((view) => view.definition.source === definition.name);
      case "view":
        return definition.entity === entity;
      case "on-demand":
        return definition.inputs.some(isRead);
      case "service":
        return definition.features.some(isRead);
    }
  }

  lineage(): readonly LineageEdge[] {
    return lineageOf(this.#sorted().map(({ definition }) => definition));
  }

  history(): readonly AppliedChange[] {
    return this.#content.history;
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

function byKey(definitions: readonly Registered<Definition>[]): ReadonlyMap<string, Registered<Definition>> {
  return new Map(definitions.map((registered) => [keyOf(registered.definition), registered]));
}

function byNameAndVersion(a: Definition, b: Definition): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return "version" in a && "version" in b ? compareVersions(a.version, b.version) : 0;
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

/** A tag or owner of any of its features counts as its own. */
function matches(definition: Definition, query: FindQuery): boolean {
  const parts = definition.kind === "view" ? [definition, ...definition.features] : [definition];
  return (
    (query.kind === undefined || definition.kind === query.kind) &&
    (query.name === undefined || definition.name === query.name) &&
    (query.version === undefined || ("version" in definition && definition.version === query.version)) &&
    (query.tag === undefined || parts.some((part) => part.tags?.includes(query.tag!) === true)) &&
    (query.owner === undefined || parts.some((part) => part.owner === query.owner))
  );
}

function changed(plan: Plan): OnefoldError {
  const refused = plan.changes.filter((change) => change.change === "refuse");
  const texts = refused.map(({ kind, name, details, where }) =>
    [`${kind} ${name}${where === undefined ? "" : ` (${where})`}`, ...details.map((line) => `  ${line}`)].join("\n  "),
  );
  const [first] = refused;
  return new OnefoldError(
    "DEFINITION_CHANGED",
    `what is registered would change its meaning:\n  ${texts.join("\n  ")}`,
    {
      ...(first?.where === undefined ? {} : { where: first.where }),
      hint: 'give a changed view the next version, or version "dev" while you work on it',
    },
  );
}
