/**
 * Which changes a registered definition may take without a new version.
 *
 * | definition       | may change                                                                       |
 * |------------------|----------------------------------------------------------------------------------|
 * | all              | description, owner, tags, sla                                                    |
 * | entity           | nothing else                                                                     |
 * | source           | its columns as `source-evolution.ts` says; derived columns may be added behind the others; what is let in (constraints, expectations, maxFuture, dedupeWithin), lateAfter, availableAfter of later imports, location and schedule, poll: where rows come from, not what they are |
 * | view             | expectations, on which no value depends; all else only in "dev"                  |
 * | on-demand        | nothing else in a numbered version, anything in "dev"                            |
 * | service          | anything while it has one version and that is 1, and no experiment that runs names it; else nothing else |
 * | experiment       | weights as a ramp that takes no unit from a candidate, overrides, exposures, shadow |
 * | alert, retrain, webhook, command | anything: no value depends on them                               |
 */
import type { Definition, SourceDefinition } from "../define/definition.ts";
import { type ExperimentDefinition, formatVariant } from "../define/experiment-definition.ts";
import { serviceReference, versionOfService } from "../define/service-version.ts";
import { toData } from "./definition-data.ts";
import { columnsRefusal } from "./source-evolution.ts";

/**
 * Why `after` may not replace `before`, which has the same kind and name, beside `others`; null when it may. `versions`: how
 * many are registered of its name; `nextVersion`: above all that were ever given; `running`: registered experiments that were
 * not stopped.
 */
export function refusal(
  before: Definition,
  after: Definition,
  others: readonly Definition[],
  versions: number,
  nextVersion: number,
  running: readonly ExperimentDefinition[] = [],
): string | null {
  switch (after.kind) {
    case "entity":
      return "the key of an entity never changes: define another entity";
    case "view":
    case "on-demand":
      if (after.version === "dev") return null;
      return `a registered version never changes its meaning: give it version ${nextVersion}, or "dev" while you work on it`;
    case "experiment":
      return experimentRefusal(before as ExperimentDefinition, after);
    case "service":
      if (versionOfService(after) === 1 && versions <= 1) return servedRefusal(serviceReference(after), running);
      return `a service with several versions never changes one of them: give it version ${nextVersion}`;
    case "alert":
    case "retrain":
    case "webhook":
    case "command":
      return null;
    default:
      return before.kind === after.kind
        ? sourceRefusal(before as SourceDefinition, after, others)
        : "a stream cannot become a batch source, nor the other way round: define another source";
  }
}

/** Units keep their variant, and a variant its meaning, for as long as they are compared. */
function servedRefusal(reference: string, running: readonly ExperimentDefinition[]): string | null {
  const served = running.find(({ variants, shadow }) =>
    [...variants, ...(shadow === undefined ? [] : [shadow])].map(formatVariant).includes(reference),
  );
  return served === undefined
    ? null
    : `experiment ${served.name} runs with ${reference}, whose values would change under its units: give it the next version, or stop the experiment first`;
}

/** What its units are served must be told by the weights that it was given one after another; but for those it names itself. */
function experimentRefusal(before: ExperimentDefinition, after: ExperimentDefinition): string | null {
  for (const member of ["variants", "unit", "salt"] as const) {
    if (JSON.stringify(before[member]) === JSON.stringify(after[member])) continue;
    const name = member === "variants" ? "service" : member;
    return `the ${name} of an experiment never changes, as units would move back and forth: define another experiment`;
  }
  return null;
}

function sourceRefusal(
  before: SourceDefinition,
  after: SourceDefinition,
  others: readonly Definition[],
): string | null {
  const ofColumns = columnsRefusal(before, after, others);
  if (ofColumns !== null) return ofColumns;
  if (!isPrefix(before.derived.map(plain), after.derived.map(plain))) {
    return "a derived column never changes, as views are computed from it: add another one behind it";
  }
  for (const member of ["eventTime", "id", "allowNonFinite"] as const) {
    if (before[member] !== after[member]) return `${member} never changes: define another source`;
  }
  const formats = [before, after].map((source) => (source.kind === "batch" ? source.format : "stream"));
  return formats[0] === formats[1] ? null : "the format never changes: define another source";
}

function plain(value: object): string {
  // Sorted keys, so that data read back from a file compares as what was written.
  return JSON.stringify(toData(value as Definition));
}

function isPrefix(before: readonly string[], after: readonly string[]): boolean {
  return before.length <= after.length && before.every((text, i) => text === after[i]);
}
