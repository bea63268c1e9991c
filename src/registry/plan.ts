/**
 * What applying definitions would change, and whether it is allowed. Pure: reads, never writes.
 *
 * Definitions that are registered but not among the given stay as they are and are not listed.
 */
import { formatDuration } from "../base/micros.ts";
import type { Definition } from "../define/definition.ts";
import type { ExperimentDefinition } from "../define/experiment-definition.ts";
import { labelOf } from "../schema/value.ts";
import { transformationText } from "../define/transformation-text.ts";
import { keyOf, shownName } from "./definition-set.ts";
import { refusal } from "./compatible.ts";
import type { ExperimentState } from "./experiment-state.ts";
import { weightsRefusal } from "./experiment-steps.ts";
import { experimentText } from "./experiment-text.ts";
import { type Data, toData } from "./definition-data.ts";
import { differences } from "./diff.ts";
import { meaning, registeredData } from "./fingerprint.ts";
import { ruleText } from "./rule-text.ts";
import type { ChangeKind, Plan, PlannedChange } from "./registry.ts";
import { problemsOf, refuseProblems } from "./validate.ts";

const KIND_ORDER: Readonly<Record<Definition["kind"], number>> = {
  entity: 0,
  stream: 1,
  batch: 1,
  view: 2,
  "on-demand": 3,
  service: 4,
  experiment: 5,
  webhook: 6,
  command: 6,
  alert: 7,
  retrain: 7,
};

/** Plans `given` over what is `registered`, by key, and beside versions that were `retired`. Throws `DEFINITION_INVALID` with every problem. */
export function planChanges(
  given: readonly Definition[],
  registered: ReadonlyMap<string, Definition>,
  experiments: readonly ExperimentState[] = [],
  retired: readonly Definition[] = [],
): Plan {
  refuseProblems(problemsOf(given, [...registered.values()]));
  const unique = [...new Map(given.map((definition) => [keyOf(definition), definition])).values()];
  const others = [
    ...new Map([...registered, ...unique.map((one): [string, Definition] => [keyOf(one), one])]).values(),
  ];
  const running = runningOf([...registered.values()], experiments);
  const changes = unique
    .sort((a, b) => KIND_ORDER[a.kind] - KIND_ORDER[b.kind])
    .map((definition) => {
      const before = registered.get(keyOf(definition));
      return planOne(definition, before, {
        others,
        versions: versionsOf(definition, registered),
        nextVersion: nextVersionOf(definition, [...others, ...retired]),
        experiments,
        running,
      });
    });
  return {
    changes,
    dirty: changes.some((change) => change.change !== "unchanged"),
    refused: changes.some((change) => change.change === "refuse"),
  };
}

/**
 * What became of `before` in `after`, as when a file is edited: nothing is judged, and what stayed the same is
 * left out.
 */
export function changesBetween(before: readonly Definition[], after: readonly Definition[]): PlannedChange[] {
  const olds = new Map(before.map((definition) => [keyOf(definition), definition]));
  const news = new Map(after.map((definition) => [keyOf(definition), definition]));
  const removed = [...olds]
    .filter(([key]) => !news.has(key))
    .map(([, definition]) => describeChange("remove", definition));
  const changed = [...news].flatMap(([key, definition]): PlannedChange[] => {
    const old = olds.get(key);
    if (old === undefined) return [describeChange("add", definition, summary(definition))];
    const details = differences(registeredData(toData(old)), registeredData(toData(definition)));
    return details.length === 0 ? [] : [describeChange("change", definition, details)];
  });
  return [...removed, ...changed].sort((a, b) => KIND_ORDER[a.kind] - KIND_ORDER[b.kind]);
}

function versionsOf({ kind, name }: Definition, registered: ReadonlyMap<string, Definition>): number {
  return [...registered.values()].filter((one) => one.kind === kind && one.name === name).length;
}

/** Above all numbers among `known` that its name was given; a draft and what has no versions count for none. */
function nextVersionOf({ kind, name }: Definition, known: readonly Definition[]): number {
  const numbers = known
    .filter((one) => one.kind === kind && one.name === name)
    .map((one) => ("version" in one && typeof one.version === "number" ? one.version : 1));
  return Math.max(0, ...numbers) + 1;
}

/** What a change is judged beside. */
interface Beside {
  readonly others: readonly Definition[];
  /** Registered of its name. */
  readonly versions: number;
  readonly nextVersion: number;
  readonly experiments: readonly ExperimentState[];
  readonly running: readonly ExperimentDefinition[];
}

function runningOf(
  registered: readonly Definition[],
  experiments: readonly ExperimentState[],
): readonly ExperimentDefinition[] {
  const stopped = experiments.filter(({ steps }) => steps.some((step) => "stopped" in step)).map(({ name }) => name);
  return registered.filter(
    (one): one is ExperimentDefinition => one.kind === "experiment" && !stopped.includes(one.name),
  );
}

function planOne(
  after: Definition,
  before: Definition | undefined,
  { others, versions, nextVersion, experiments, running }: Beside,
): PlannedChange {
  if (before === undefined) return describeChange("add", after, summary(after));
  const [old, next] = [registeredData(toData(before)), registeredData(toData(after))];
  const details = differences(old, next);
  if (details.length === 0) return describeChange("unchanged", after);
  const isSame = sameMeaning(old, next);
  const why = isSame
    ? null
    : (refusal(before, after, others, versions, nextVersion, running) ?? weightsRefusal(before, after, experiments));
  if (why === null) return describeChange("change", after, details);
  return describeChange("refuse", after, [...differences(meaning(old), meaning(next)), why]);
}

/** A change of one definition, with its place where that is known. */
export function describeChange(
  change: ChangeKind,
  definition: Definition,
  details: readonly string[] = [],
): PlannedChange {
  const { kind, definedAt } = definition;
  const where = definedAt === undefined ? {} : { where: `${definedAt.file}:${definedAt.line}` };
  return { change, details, kind, name: shownName(definition), ...where };
}

function sameMeaning(a: Data, b: Data): boolean {
  return JSON.stringify(meaning(a)) === JSON.stringify(meaning(b));
}

/** What a new definition is, in a line or two. */
function summary(definition: Definition): string[] {
  switch (definition.kind) {
    case "entity":
      return [`key ${definition.keys.map((key) => key.name).join(", ")}`];
    case "stream":
    case "batch":
      return [
        `columns ${definition.columns.map(labelOf).join(", ")}`,
        ...(definition.kind === "stream" && definition.poll !== undefined
          ? [`polled from ${definition.poll.url} every ${formatDuration(definition.poll.everyMicros)}`]
          : []),
      ];
    case "view":
      return [
        `${definition.features.length} features of ${definition.entity} from ${definition.source}: ` +
          definition.features.map((feature) => feature.name).join(", "),
      ];
    case "on-demand":
      return [`${definition.outputs.map((output) => output.name).join(", ")} at request time`];
    case "service":
      return [
        `${definition.features.length} features: ${definition.features.map((feature) => feature.as).join(", ")}`,
        ...(definition.transform ?? []).map(({ name, node }) => `${name} is ${transformationText(node)}`),
      ];
    case "experiment":
      return [experimentText(definition)];
    case "webhook":
      return [`notices as ${definition.template}${definition.secretEnv === undefined ? "" : ", signed"}`];
    case "command":
      return [`notices on stdin of ${definition.run[0]}`];
    case "alert":
    case "retrain":
      return [ruleText(definition)];
  }
}
