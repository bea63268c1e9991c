/**
 * What a plan means for whoever reads what is registered: what of it breaks, what is registered and no longer in the
 * code, and where code and registry have drifted apart. Pure: reads, never writes.
 */
import type { RuleDefinition } from "../define/alert-definition.ts";
import { type Definition, formatViewName, type ServiceDefinition } from "../define/definition.ts";
import { serviceId, serviceReference } from "../define/service-version.ts";
import { type Alias, DEFAULT_ALIAS, kindOf } from "./alias-moves.ts";
import { keyOf, shownName, versionOf } from "./definition-set.ts";
import { hashText, toData } from "./definition-data.ts";
import { fingerprint, registeredData } from "./fingerprint.ts";
import type { FittedService } from "./fitted-service.ts";
import { lineageOf } from "./lineage.ts";
import type { AppliedChange, Plan, PlannedChange, Registered, Registry } from "./registry.ts";

/** What stops working, or works otherwise, once a change is applied; of a refused one, what it would have done. */
export interface Broken {
  /** `stops`: is refused, or reads what it was not made for. `differs`: goes on, with other values, as the code says. */
  readonly effect: "stops" | "differs";
  readonly kind: "view" | "on-demand" | "service" | "experiment" | "fit" | "model" | "alert" | "retrain";
  /** Of a fit `service fit N`; of a model `name, which reads service`. */
  readonly name: string;
  readonly why: string;
}

export interface ReviewedChange extends PlannedChange {
  readonly breaks: readonly Broken[];
  /** When what it changes was last applied, RFC 3339; absent for what is new. */
  readonly lastAppliedAt?: string;
}

/** Registered, and not among the definitions: applying leaves it as it is. */
export interface NotInCode {
  readonly kind: Definition["kind"];
  readonly name: string;
  readonly registeredAt: string;
  /** What is computed from it, or told by it: `service delay`. */
  readonly readBy: readonly string[];
}

export interface Drifted {
  /** `behind`: the code is what was replaced in the registry; `server`: a server has loaded other code. */
  readonly kind: "behind" | "server";
  readonly name: string;
  readonly message: string;
}

/** What was made of the services, beside the registry. */
export interface Readers {
  readonly fits: readonly Pick<FittedService, "definition" | "fingerprint" | "version">[];
  readonly aliases: readonly Pick<Alias, "kind" | "name" | "alias" | "version">[];
  /** What experiments serve or shadow with, `service@version`. */
  readonly experiments: readonly { readonly name: string; readonly serves: readonly string[] }[];
  /** What models reported of their features, by the service's id. */
  readonly models: readonly {
    readonly service: string;
    readonly model: string;
    readonly features: readonly string[];
  }[];
}

export interface PlanReview {
  readonly changes: readonly ReviewedChange[];
  readonly removed: readonly NotInCode[];
  readonly drift: readonly Drifted[];
}

export function reviewPlan(
  plan: Plan,
  given: readonly Definition[],
  registered: readonly Registered<Definition>[],
  history: readonly AppliedChange[],
  readers: Readers,
): PlanReview {
  const before = new Map(registered.map((one) => [keyOf(one.definition), one.definition]));
  const after = new Map([...before, ...given.map((one): [string, Definition] => [keyOf(one), one])]);
  const byName = new Map(given.map((one) => [`${one.kind} ${shownName(one)}`, one]));
  const review = new Review(before, after, readers);
  const changes = plan.changes.map((change): ReviewedChange => {
    const next = byName.get(`${change.kind} ${change.name}`)!;
    const old = before.get(keyOf(next));
    const isOther = change.change === "change" || change.change === "refuse";
    const breaks = isOther && old !== undefined ? review.brokenBy(old, next, change) : review.movedBy(change, next);
    const lastAppliedAt = isOther ? lastApplied(change, history) : undefined;
    return { ...change, breaks, ...(lastAppliedAt === undefined ? {} : { lastAppliedAt }) };
  });
  const keys = new Set(given.map(keyOf));
  const removed = registered
    .filter(({ definition }) => !keys.has(keyOf(definition)))
    .map(({ definition, createdAt }): NotInCode => {
      const { kind } = definition;
      return { kind, name: shownName(definition), registeredAt: createdAt, readBy: review.readersOf(definition) };
    });
  return { changes, removed, drift: given.flatMap((one) => behind(one, before.get(keyOf(one)), history)) };
}

/** One text for what a set of definitions is, code and all; their order and where they stand say nothing. */
export function definitionsDigest(definitions: readonly Definition[]): string {
  const texts = definitions.map(
    (one) => `${keyOf(one)} ${fingerprint(one)} ${JSON.stringify(registeredData(toData(one)))}`,
  );
  return hashText([...new Set(texts)].sort().join("\n"));
}

/** Where the code that a process has loaded is not what is registered, and so is not served. */
export function loadedProblems(registry: Registry): Drifted[] {
  const commands = registry.find({ kind: "command" }).map(({ definition }) => definition);
  const all = [...registry.views(), ...registry.onDemandViews(), ...registry.services()];
  return [...all.map(({ definition }) => definition), ...commands].flatMap((definition): Drifted[] => {
    const problem = registry.codeProblem(definition as Parameters<Registry["codeProblem"]>[0]);
    return problem === null ? [] : [{ kind: "server", name: shownName(definition), message: problem.message }];
  });
}

function lastApplied({ kind, name }: PlannedChange, history: readonly AppliedChange[]): string | undefined {
  return history.findLast(({ changes }) => changes.some((one) => one.kind === kind && one.name === name))?.at;
}

/** Code whose very meaning was registered once and replaced since: somebody else has gone on. */
function behind(given: Definition, present: Definition | undefined, history: readonly AppliedChange[]): Drifted[] {
  if (present === undefined) return [];
  const wanted = fingerprint(given);
  if (fingerprint(present) === wanted) return [];
  const name = shownName(given);
  const replaced = history.findLast((apply) =>
    apply.replaced.some(
      (one) =>
        one.name === name &&
        one.fingerprint === wanted &&
        (one.definition as { readonly kind?: unknown }).kind === given.kind,
    ),
  );
  if (replaced === undefined) return [];
  const message = `what the code says was registered, and replaced at ${replaced.at}: applying it takes that back`;
  return [{ kind: "behind", name: `${given.kind} ${name}`, message }];
}

class Review {
  readonly #before: ReadonlyMap<string, Definition>;
  readonly #after: ReadonlyMap<string, Definition>;
  readonly #readers: Readers;

  constructor(before: ReadonlyMap<string, Definition>, after: ReadonlyMap<string, Definition>, readers: Readers) {
    this.#before = before;
    this.#after = after;
    this.#readers = readers;
  }

  brokenBy(old: Definition, next: Definition, change: PlannedChange): Broken[] {
    if (fingerprint(old) === fingerprint(next)) return [];
    if (old.kind === "service" && next.kind === "service") return this.#brokenByService(old, next);
    // A source that takes a change keeps what is computed from it, and nothing that is in use reads a draft.
    return change.change === "refuse" ? this.#below(old, "is computed from what would be another") : [];
  }

  /** A name alone means the highest version where no alias says otherwise: adding one moves whoever asks by the name. */
  movedBy({ change }: PlannedChange, next: Definition): Broken[] {
    const [kind, version] = [kindOf(next), versionOf(next)];
    if (change !== "add" || kind === null || version === null || version === "dev") return [];
    const { name } = next;
    const isSet = this.#readers.aliases.some(
      (one) => one.kind === kind && one.name === name && one.alias === DEFAULT_ALIAS,
    );
    const versions = [...this.#before.values()]
      .filter((one) => kindOf(one) === kind && one.name === name)
      .flatMap((one) => versionOf(one) ?? [])
      .filter((one) => one !== "dev");
    const highest = Math.max(0, ...versions);
    if (isSet || highest === 0 || highest > version) return [];
    const why = `the name alone means ${name}@${version} from then on, as ${name}@${DEFAULT_ALIAS} is not set: to keep ${name}@${highest}, first onefold promote ${name}@${highest}`;
    return [{ effect: "differs", kind: next.kind as Broken["kind"], name, why }];
  }

  /** What is computed from a definition, and who tells of it: `kind name`, nearest first. */
  readersOf(definition: Definition): string[] {
    const below = this.#keysBelow(definition, this.#before);
    const names = [...this.#before].filter(([key]) => below.has(key)).map(([, one]) => `${one.kind} ${shownName(one)}`);
    const rules = [...this.#before.values()]
      .filter((one): one is RuleDefinition => one.kind === "alert" || one.kind === "retrain")
      .filter((rule) => namesIt(rule, definition))
      .map((rule) => `${rule.kind} ${rule.name}`);
    const aliases = this.#readers.aliases
      .filter(
        ({ kind, name, version }) =>
          kind === kindOf(definition) && name === definition.name && version === versionOf(definition),
      )
      .map(({ name, alias }) => `alias ${name}@${alias}`);
    const services = new Set(definition.kind === "service" ? [serviceId(definition)] : []);
    for (const name of names) if (name.startsWith("service ")) services.add(name.slice("service ".length));
    const models = this.#readers.models.filter(({ service }) => services.has(service));
    return [
      ...names,
      ...aliases,
      ...rules,
      ...new Set(models.map(({ model, service }) => `model ${model} (reads ${service})`)),
    ];
  }

  #brokenByService(old: ServiceDefinition, next: ServiceDefinition): Broken[] {
    const [was, is] = [vectorOf(old), vectorOf(next)];
    const lost = was.filter((name) => !is.includes(name));
    const others = [
      ...(lost.length === 0 ? [] : [`its vector loses ${lost.join(", ")}`]),
      ...(lost.length === 0 && was.some((name, i) => is[i] !== name)
        ? ["values stand in other places of its vector: whoever reads them by place reads others"]
        : []),
    ];
    return [
      ...others.map((why): Broken => ({ effect: "stops", kind: "service", name: serviceId(old), why })),
      ...readOtherwise(old, next).map((why): Broken => ({
        effect: "differs",
        kind: "service",
        name: serviceId(old),
        why,
      })),
      ...this.#brokenFits(old, next),
      ...this.#readers.models
        .filter(({ service, features }) => service === serviceId(old) && features.some((name) => lost.includes(name)))
        .map(({ model, features }): Broken => {
          const missed = features.filter((name) => lost.includes(name)).join(", ");
          return {
            effect: "stops",
            kind: "model",
            name: `${model}, which reads ${serviceId(old)}`,
            why: `it uses ${missed}`,
          };
        }),
      ...this.#readers.experiments
        .filter(({ serves }) => serves.includes(serviceReference(old)))
        .map(({ name }): Broken => ({
          effect: "differs",
          kind: "experiment",
          name,
          why: `it serves ${serviceReference(old)}, so its units are served other values from then on`,
        })),
      ...this.#brokenRules(old, lost),
    ];
  }

  #brokenFits(old: ServiceDefinition, next: ServiceDefinition): Broken[] {
    const present = fingerprint(old);
    const fits = this.#readers.fits.filter(
      (fit) =>
        serviceId(fit.definition) === serviceId(old) && fit.fingerprint === present && present !== fingerprint(next),
    );
    const newest = fits.at(-1);
    if (newest === undefined) return [];
    const isFittedBefore = this.#readers.fits.some((fit) => fit.fingerprint === fingerprint(next));
    const why = isFittedBefore
      ? "an earlier fit, of the definition as it would be, takes its place"
      : next.transform === undefined
        ? "it is fitted to what the service no longer is, and is not used any more"
        : "it is fitted to what the service no longer is: vectors are refused until the service is fitted again";
    return [{ effect: "stops", kind: "fit", name: `${serviceId(old)} fit ${newest.version}`, why }];
  }

  /** Rules that watch a feature which is nowhere any more, though they do not change themselves. */
  #brokenRules(old: ServiceDefinition, lost: readonly string[]): Broken[] {
    const there = new Set([...this.#after.values()].flatMap(featureNames));
    return [...this.#after.values()]
      .filter((one): one is RuleDefinition => one.kind === "alert" || one.kind === "retrain")
      .flatMap((rule): Broken[] => {
        const watched = (rule.watches.features ?? []).filter((name) => lost.includes(name));
        const isOfIt = rule.watches.services === undefined || rule.watches.services.includes(old.name);
        const missed = watched.filter((name) => isOfIt && (rule.watches.services !== undefined || !there.has(name)));
        if (missed.length === 0) return [];
        return [
          {
            effect: "stops",
            kind: rule.kind,
            name: rule.name,
            why: `it watches ${missed.join(", ")}, and would never fire for it`,
          },
        ];
      });
  }

  #below(definition: Definition, why: string): Broken[] {
    const below = this.#keysBelow(definition, this.#before);
    return [...this.#before]
      .filter(([key]) => below.has(key))
      .map(([, one]): Broken => ({
        effect: "stops",
        kind: one.kind as Broken["kind"],
        name: shownName(one),
        why,
      }));
  }

  #keysBelow(definition: Definition, all: ReadonlyMap<string, Definition>): ReadonlySet<string> {
    const edges = lineageOf([...all.values()]);
    const found = new Set<string>();
    const add = (from: string): void => {
      for (const { to } of edges.filter((edge) => edge.from === from)) {
        const key = to.replace(/^on-demand:/, "view:");
        if (found.has(key)) continue;
        found.add(key);
        add(to);
      }
    };
    add(lineageName(definition));
    return found;
  }
}

function lineageName(definition: Definition): string {
  const { kind, name } = definition;
  if (kind === "service") return `service:${serviceId(definition)}`;
  if (kind === "view" || kind === "on-demand") return `${kind}:${formatViewName(definition)}`;
  return `${kind === "stream" || kind === "batch" ? "source" : kind}:${name}`;
}

/** Names of the vector, in its order. */
function vectorOf(service: ServiceDefinition): string[] {
  const made = (service.transform ?? []).map(({ name }) => name);
  const omitted = new Set(service.omit ?? []);
  const read = service.features.map(({ as }) => as).filter((name) => !omitted.has(name));
  return [...read, ...made.filter((name) => !read.includes(name))];
}

/** Names that stay, and mean another feature. */
function readOtherwise(old: ServiceDefinition, next: ServiceDefinition): string[] {
  const formerly = new Map(old.features.map((one) => [one.as, `${one.view}@${one.version}.${one.feature}`]));
  return next.features.flatMap((one) => {
    const was = formerly.get(one.as);
    const is = `${one.view}@${one.version}.${one.feature}`;
    return was === undefined || was === is ? [] : [`${one.as} is read from ${is}, not from ${was}`];
  });
}

function featureNames(definition: Definition): string[] {
  if (definition.kind === "view") return definition.features.map(({ name }) => name);
  if (definition.kind === "on-demand") return definition.outputs.map(({ name }) => name);
  return definition.kind === "service" ? definition.features.map(({ as }) => as) : [];
}

function namesIt(rule: RuleDefinition, definition: Definition): boolean {
  const { sources = [], views = [], services = [] } = rule.watches;
  switch (definition.kind) {
    case "stream":
    case "batch":
      return sources.includes(definition.name);
    case "view":
    case "on-demand":
      return views.includes(formatViewName(definition));
    case "service":
      return services.includes(definition.name) || (rule.kind === "retrain" && rule.service === definition.name);
    case "webhook":
    case "command":
      return rule.to.includes(definition.name);
    default:
      return false;
  }
}
