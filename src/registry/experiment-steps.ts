/**
 * Steps of experiments, in a registry's content: ramps and stops.
 *
 * The first step is the weights of the definition as it was registered. Other weights in a definition that is applied are a
 * step, too; the same ones are none, so a file that says where an experiment began may be applied again and again.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { Definition } from "../define/definition.ts";
import { type ExperimentDefinition, formatVariant } from "../define/experiment-definition.ts";
import { type ExperimentStep, losersOf } from "../define/experiment-layout.ts";
import { weightProblems } from "../define/experiment-problems.ts";
import type { ExperimentState, ExperimentStepAsked, RecordedStep } from "./experiment-state.ts";
import type { RegistryContent } from "./registry-content.ts";
import type { AppliedChange, Registered } from "./registry.ts";

/** All that it was told, its first weights first. */
export function recordedSteps(
  { experiments = [] }: Pick<RegistryContent, "experiments">,
  { definition, createdAt }: Registered<ExperimentDefinition>,
): readonly RecordedStep[] {
  const state = experiments.find(({ name }) => name === definition.name);
  return state?.steps ?? [{ weights: definition.weights, at: createdAt, by: null }];
}

/**
 * Null where that is what it was told last: who hears no answer asks again. Throws `EXPERIMENT_UNKNOWN`, `EXPERIMENT_BACKWARD`, `EXPERIMENT_STOPPED`,
 * `REQUEST_INVALID`.
 */
export function withStep(
  content: RegistryContent,
  name: string,
  asked: ExperimentStepAsked & Pick<RecordedStep, "at" | "by">,
): RegistryContent | null {
  const registered = experimentIn(content, name);
  const { definition } = registered;
  const steps = recordedSteps(content, registered);
  const step = stepOf(definition, asked);
  const last = steps.at(-1)!;
  if ("stopped" in last) {
    if ("stopped" in step && step.stopped === last.stopped) return null;
    throw new OnefoldError(
      "EXPERIMENT_STOPPED",
      `${name} was stopped at ${last.at}: it is at ${stepText(definition, last)}`,
      {
        where: name,
        hint: `assign anew by another experiment; this one goes with: onefold retire ${name}`,
      },
    );
  }
  if ("weights" in step) {
    if (step.weights.join() === last.weights.join()) return null;
    const why = backward(definition, steps, step.weights);
    if (why !== null) {
      throw new OnefoldError("EXPERIMENT_BACKWARD", why, {
        where: name,
        hint: "give each candidate at least the share that it has; to end the experiment: onefold experiments stop",
      });
    }
  }
  const { at, by } = asked;
  const change: AppliedChange["changes"][number] = {
    change: "change",
    kind: "experiment",
    name,
    details: [`${stepText(definition, last)} -> ${stepText(definition, step)}${by === null ? "" : ` by ${by}`}`],
  };
  return {
    ...content,
    history: [...content.history, { at, changes: [change], replaced: [] }],
    experiments: withSteps(content, name, [...steps, { ...step, at, by }]),
  };
}

/** What was applied may have given experiments other weights: those are steps. */
export function withAppliedWeights(before: RegistryContent, after: RegistryContent, at: string): RegistryContent {
  let experiments = before.experiments ?? [];
  for (const registered of before.definitions) {
    const { definition } = registered;
    if (definition.kind !== "experiment") continue;
    const next = after.definitions.find(
      ({ definition: one }) => one.kind === "experiment" && one.name === definition.name,
    )?.definition as ExperimentDefinition;
    if (JSON.stringify(next.weights) === JSON.stringify(definition.weights)) continue;
    const steps = recordedSteps({ experiments }, registered as Registered<ExperimentDefinition>);
    experiments = withSteps({ experiments }, definition.name, [...steps, { weights: next.weights, at, by: null }]);
  }
  return experiments.length === 0 ? after : { ...after, experiments };
}

/** Why the weights of a definition may not be applied over what runs; null where they may. */
export function weightsRefusal(
  before: Definition,
  after: Definition,
  experiments: readonly ExperimentState[],
): string | null {
  if (before.kind !== "experiment" || after.kind !== "experiment") return null;
  if (JSON.stringify(before.weights) === JSON.stringify(after.weights)) return null;
  const registered = { definition: before, createdAt: "", fingerprint: "" };
  return backward(after, recordedSteps({ experiments }, registered), after.weights);
}

/** `90, 10`, or `all delay@1`. */
export function stepText({ variants }: ExperimentDefinition, step: ExperimentStep): string {
  return "stopped" in step ? `all ${formatVariant(variants[step.stopped]!)}` : step.weights.join(", ");
}

function experimentIn({ definitions }: RegistryContent, name: string): Registered<ExperimentDefinition> {
  const all = definitions.filter(({ definition }) => definition.kind === "experiment");
  const found = all.find(({ definition }) => definition.name === name);
  if (found !== undefined) return found as Registered<ExperimentDefinition>;
  const names = all.map(({ definition }) => definition.name);
  throw new OnefoldError("EXPERIMENT_UNKNOWN", `there is no experiment "${name}"`, {
    candidates: nearestNames(name, names),
  });
}

function stepOf(definition: ExperimentDefinition, asked: ExperimentStepAsked): ExperimentStep {
  const { name, variants } = definition;
  if ("serve" in asked) {
    const stopped = variants.findIndex((variant) => formatVariant(variant) === asked.serve);
    if (stopped >= 0) return { stopped };
    throw new OnefoldError("REQUEST_INVALID", `${asked.serve} is no version that ${name} serves`, {
      candidates: variants.map(formatVariant),
    });
  }
  const problems = weightProblems(asked.weights, variants.length);
  if (problems.length > 0) throw new OnefoldError("REQUEST_INVALID", problems.join("; "), { where: "weights" });
  return { weights: asked.weights };
}

/** In words, whose units would move back; null where none would. */
function backward(
  { name, variants }: ExperimentDefinition,
  steps: readonly RecordedStep[],
  weights: readonly number[],
): string | null {
  if (steps.some((step) => "stopped" in step)) return `${name} was stopped: assign anew by another experiment`;
  const losers = losersOf(steps, weights).map((variant) => formatVariant(variants[variant]!));
  if (losers.length === 0) return null;
  const now = stepText({ variants } as ExperimentDefinition, steps.at(-1)!);
  return `with weights ${weights.join(", ")} units of ${losers.join(", ")} would move back: it is at ${now}`;
}

function withSteps(
  { experiments = [] }: Pick<RegistryContent, "experiments">,
  name: string,
  steps: readonly RecordedStep[],
): readonly ExperimentState[] {
  return [...experiments.filter((state) => state.name !== name), { name, steps }];
}
