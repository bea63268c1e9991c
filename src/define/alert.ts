/**
 * `alert` and `retrain`: rules over what monitoring measures, and what is done where it is beyond.
 */
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE } from "../base/micros.ts";
import type {
  AlertDefinition,
  DestinationDefinition,
  RetrainDefinition,
  RetrainLabels,
  RuleShape,
  Severity,
  Watched,
  WatchedKind,
  WebhookDefinition,
} from "./alert-definition.ts";
import { isStatistical, ruleProblems } from "./alert-problems.ts";
import { callSite, refuse } from "./defined-at.ts";
import { type Definition, type Described, formatViewName } from "./definition.ts";
import { duration } from "./duration.ts";
import { frozen } from "./frozen.ts";
import { serviceId } from "./service-version.ts";
import { rememberReferences } from "./references.ts";
import { checkShape, unknownOptions } from "./shape.ts";
import type { DurationText } from "./typing.ts";

type OneOrMore<T> = T | readonly T[];

/** A definition, or its name. */
type Named = string | { readonly kind: string; readonly name: string };
type NamedService = string | { readonly kind: string; readonly name: string; readonly version?: number };
type NamedView = string | { readonly kind: string; readonly name: string; readonly version: number | "dev" };

export interface RuleOptions extends Described {
  /** What is watched. */
  readonly on: OneOrMore<WatchedKind>;
  /** Of these alone; without any of them, of all. */
  readonly source?: OneOrMore<Named>;
  readonly view?: OneOrMore<NamedView>;
  readonly feature?: OneOrMore<string>;
  /** Without a version, in all of its versions. */
  readonly service?: OneOrMore<NamedService>;
  readonly expectation?: OneOrMore<string>;
  readonly measure?: OneOrMore<string>;
  /** In place of the threshold that the signal itself is held against. */
  readonly above?: number;
  readonly below?: number;
  /** Beyond for so long without a break. Default: at once. */
  readonly for?: DurationText;
  /** Beyond in so many windows in a row that do not overlap. Default 2 of drift, else 1. */
  readonly windows?: number;
  /** Signals over fewer values are passed over. Default 30 of drift, else 0. */
  readonly samplesMin?: number;
  /** Default 0.05. */
  readonly falseDiscoveryRate?: number;
  /** Goes on firing until it was well for so long. Default 5m. */
  readonly keepFiring?: DurationText;
  /** Between two notices that it fires, of one subject. Default 1h for an alert; between two training sets, 1d. */
  readonly cooldown?: DurationText;
  /** Not judged at all. What is registered stays registered, so that is how a rule is turned off. */
  readonly off?: boolean;
}

export interface AlertOptions extends RuleOptions {
  readonly severity?: Severity;
  /** While it fires, from one notice of it to the next: "4h". Default: it is told of once. */
  readonly repeat?: DurationText;
  readonly to?: OneOrMore<DestinationDefinition>;
}

export interface RetrainOptions extends Omit<RuleOptions, "on" | "service"> {
  /** Default drift and missing-drift. */
  readonly on?: OneOrMore<WatchedKind>;
  /** Whose features are watched, and whose training set is built. */
  readonly service: NamedService;
  /**
   * Label rows of the fresh set: a file in the server's `--labels-folder`, or each entity at every tick of the last
   * `range`.
   */
  readonly labels:
    | { readonly path: string }
    | {
        readonly every: DurationText;
        readonly range: DurationText;
        readonly entities?: "all" | { readonly path: string };
      };
  /** Whether a label sees an event known at its very time. Default exclusive for a file, inclusive for ticks. */
  readonly boundary?: "inclusive" | "exclusive";
  /** Called once the set is there. */
  readonly to: OneOrMore<WebhookDefinition>;
}

const RULE_OPTIONS: readonly (keyof RuleOptions)[] = [
  "on",
  "source",
  "view",
  "feature",
  "service",
  "expectation",
  "measure",
  "above",
  "below",
  "for",
  "windows",
  "samplesMin",
  "falseDiscoveryRate",
  "keepFiring",
  "cooldown",
  "off",
];
const SAMPLES_MIN_OF_DRIFT = 30;

/** Tells destinations where a signal is beyond. Throws `DEFINITION_INVALID`. */
export function alert(name: string, options: AlertOptions): AlertDefinition {
  checkShape(alert, "alert", name, options, {}, [...RULE_OPTIONS, "severity", "repeat", "to"]);
  const definedAt = callSite(alert);
  const problems: string[] = [];
  const to = destinationsOf(options.to, problems);
  const repeatMicros = duration("repeat", options.repeat, problems);
  refuse({ name, definedAt }, "alert", problems);
  const definition: AlertDefinition = frozen({
    kind: "alert",
    name,
    severity: options.severity ?? "warning",
    ...(repeatMicros === undefined ? {} : { repeatMicros }),
    ...ruleOf(options, to, MICROS_PER_HOUR, problems),
    definedAt,
  }) as AlertDefinition;
  refuse(definition, "alert", [...problems, ...ruleProblems(definition)]);
  rememberReferences(definition, [...to, ...referred(options)]);
  return definition;
}

/** Has a fresh training set built where features of a service drift, and calls a webhook. Throws `DEFINITION_INVALID`. */
export function retrain(name: string, options: RetrainOptions): RetrainDefinition {
  checkShape(retrain, "retrain", name, options, { labels: "members" }, [...RULE_OPTIONS, "boundary", "to"]);
  const definedAt = callSite(retrain);
  const problems: string[] = [];
  const to = destinationsOf(options.to, problems);
  const labels = labelsOf(options.labels, problems);
  if (options.service === undefined) problems.push("service is missing: name the service whose training set is built");
  refuse({ name, definedAt }, "retrain", problems);
  const withKinds = { ...options, on: options.on ?? (["drift", "missing-drift"] as const) };
  const definition: RetrainDefinition = frozen({
    kind: "retrain",
    name,
    service: serviceNameOf(options.service),
    labels,
    boundary: options.boundary ?? (labels.kind === "file" ? "exclusive" : "inclusive"),
    ...ruleOf(withKinds, to, MICROS_PER_DAY, problems),
    definedAt,
  }) as RetrainDefinition;
  refuse(definition, "retrain", [...problems, ...ruleProblems(definition)]);
  rememberReferences(definition, [...to, ...referred(options)]);
  return definition;
}

/**
 * The alerts that hold where none is defined, to be exported with destinations or changed: of everything that is
 * watched, one each; of what is folded none, as most of it is served and would be told of twice.
 */
export function defaultAlerts(options: Pick<AlertOptions, "to"> = {}): readonly AlertDefinition[] {
  const one = (on: WatchedKind, more: Partial<AlertOptions> = {}): AlertDefinition =>
    alert(`default_${on.replaceAll("-", "_")}`, {
      on,
      ...more,
      ...(options.to === undefined ? {} : { to: options.to }),
    });
  return [
    one("pipeline-age", { for: "2m", severity: "critical" }),
    one("source-silence", { for: "2m" }),
    one("entity-age", { for: "2m" }),
    one("expectation"),
    one("drift"),
    one("missing-drift"),
    one("skew", { severity: "critical" }),
    one("signal-source", { for: "5m" }),
  ];
}

function ruleOf(
  options: RuleOptions,
  to: readonly DestinationDefinition[],
  cooldownMicros: number,
  problems: string[],
): Omit<RuleShape, "name" | "definedAt"> {
  const watches = watchedOf(options);
  const drifts = watches.kinds.some(isStatistical);
  const { above, below } = options;
  if (above !== undefined && below !== undefined) problems.push("above and below cannot both be given");
  const bound =
    above !== undefined
      ? ({ side: "above", value: above } as const)
      : below !== undefined
        ? ({ side: "below", value: below } as const)
        : undefined;
  return {
    watches,
    ...(bound === undefined ? {} : { bound }),
    forMicros: duration("for", options.for, problems) ?? 0,
    windows: options.windows ?? (drifts ? 2 : 1),
    samplesMin: options.samplesMin ?? (drifts ? SAMPLES_MIN_OF_DRIFT : 0),
    falseDiscoveryRate: options.falseDiscoveryRate ?? 0.05,
    keepFiringMicros: duration("keepFiring", options.keepFiring, problems) ?? 5 * MICROS_PER_MINUTE,
    cooldownMicros: duration("cooldown", options.cooldown, problems) ?? cooldownMicros,
    ...(options.off === true ? { isOff: true as const } : {}),
    to: to.map(({ name }) => name),
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.tags === undefined ? {} : { tags: options.tags }),
  };
}

function watchedOf({ on, measure, source, view, feature, service, expectation }: RuleOptions): Watched {
  const named = (member: string, names: readonly string[] | undefined): object =>
    names === undefined ? {} : { [member]: names };
  return {
    kinds: (listOf(on) ?? []) as readonly WatchedKind[],
    ...named("measures", listOf(measure)),
    ...named("sources", listOf(source)?.map(nameOf)),
    ...named("views", listOf(view)?.map(viewNameOf)),
    ...named("features", listOf(feature)),
    ...named("services", listOf(service)?.map(serviceNameOf)),
    ...named("expectations", listOf(expectation)),
  };
}

function listOf<T>(given: OneOrMore<T> | undefined): readonly T[] | undefined {
  if (given === undefined) return undefined;
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}

function nameOf(named: Named): string {
  return typeof named === "string" ? named : String(named?.name);
}

function serviceNameOf(service: NamedService): string {
  return typeof service === "string" ? service : serviceId(service);
}

function viewNameOf(view: NamedView): string {
  return typeof view === "string" ? view : formatViewName(view);
}

/** The definitions among what was given, to be registered with the rule. */
function referred({ source, view, service }: Partial<RuleOptions>): Definition[] {
  return [listOf(source), listOf(view), listOf(service)]
    .flatMap((list) => [...(list ?? [])] as unknown[])
    .filter((one): one is Definition => typeof one === "object" && one !== null && "kind" in one);
}

function destinationsOf<D extends DestinationDefinition>(
  to: OneOrMore<D> | undefined,
  problems: string[],
): readonly D[] {
  const list = listOf(to) ?? [];
  if (!list.every((one) => one?.kind === "webhook" || one?.kind === "command"))
    problems.push("to: give what webhook(...) or command(...) returns, or a list of them");
  return list;
}

function labelsOf(labels: RetrainOptions["labels"], problems: string[]): RetrainLabels {
  const ticks = labels as Partial<{ every: string; range: string; entities: "all" | { readonly path: string } }>;
  problems.push(
    ...unknownOptions(labels, "path" in labels ? ["path"] : ["every", "range", "entities"]).map(
      (problem) => `labels: ${problem}`,
    ),
  );
  if ("path" in labels) {
    if (typeof labels.path !== "string" || labels.path === "") problems.push("labels.path is no path of a file");
    return { kind: "file", path: labels.path };
  }
  if (ticks.every === undefined || ticks.range === undefined)
    problems.push('labels are either { path: "labels.parquet" } or { every: "1d", range: "90d" }');
  const { entities = "all" } = ticks;
  if (entities !== "all" && typeof entities?.path !== "string")
    problems.push('labels.entities is "all" or { path: "entities.csv" }');
  return {
    kind: "ticks",
    everyMicros: duration("labels.every", ticks.every, problems) ?? 0,
    rangeMicros: duration("labels.range", ticks.range, problems) ?? 0,
    ...(entities === "all" ? {} : { entitiesPath: entities?.path }),
  };
}
