/** `onefold apply`: registers definitions, once they are approved where they must be. */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import type { ApplyConditions, Plan, PlannedChange } from "../../registry/registry.ts";
import type { ReviewedPlan } from "../../platform/reviewed-plan.ts";
import { applyApproved, processTerminal } from "../approval.ts";
import { formatChanges } from "../change-text.ts";
import { kafkaSettingsOf, type KafkaOptions, withKafkaOptions } from "../kafka-options.ts";
import { createOutput } from "../output.ts";
import type { AskedApply } from "../served-works.ts";
import { printWarnings, refuseWarnings } from "../purity/definition-warnings.ts";
import type { Impurity } from "../purity/find-impurities.ts";
import {
  accessToRegister,
  asOwner,
  DEFINITIONS_FILE,
  requireCheckedDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";
import { review } from "./plan.ts";

interface ApplyOptions extends StandardOptions, KafkaOptions {
  readonly strict?: true;
  readonly autoApprove?: true;
}

export function applyCommand(): Command {
  const command = new Command("apply")
    .description(
      "register the definitions, here or with the server that owns the data folder; new views are computed from history",
    )
    .argument("[plan]", "a file that onefold plan --out wrote: applied only over what it was made of")
    .addOption(new Option("--auto-approve", "do not ask, and apply what breaks something that is in use"))
    .addOption(new Option("--strict", "refuse definitions whose functions are not pure"));
  withKafkaOptions(command).action(async (planFile: string | undefined, options: ApplyOptions) => {
    const output = createOutput(options.json === true);
    const { definitions, warnings } = await requireCheckedDefinitions(options);
    if (options.strict === true) refuseWarnings(warnings);
    if (options.kafka !== undefined) await refuseUnfitTopics(definitions, options);
    const access = accessToRegister(options, "own-or-create");
    const file = resolve(options.definitions ?? DEFINITIONS_FILE);
    const { definitionsDigest } = await import("../../registry/plan-review.ts");
    const digest = definitionsDigest(definitions);
    const apply = (conditions: ApplyConditions): Promise<Plan> => {
      const asked: AskedApply = { definitions: file, digest, ...conditions };
      return output.withProgress("apply", (onProgress) =>
        asOwner(options, access, { definitions, onProgress }, { work: "apply", asked, onProgress }, (platform) =>
          platform.apply(definitions, { ...conditions, onProgress }),
        ),
      );
    };
    const plan = await applied(definitions, planFile, options, apply);
    const { workerNotes } = await import("../../platform/kafka/worker-notes.ts");
    for (const note of workerNotes(definitions, false)) output.note(`note: ${note}`);
    printPlan(plan, warnings, options);
  });
  return withStandardOptions(command);
}

/** Applies what was approved. Throws `PLAN_STALE`, `CANCELLED`, `APPROVAL_REQUIRED`. */
async function applied(
  definitions: readonly Definition[],
  planFile: string | undefined,
  options: ApplyOptions,
  apply: (conditions: ApplyConditions) => Promise<Plan>,
): Promise<Plan> {
  if (planFile !== undefined) {
    const { plannedOver } = await import("../plan-file.ts");
    return apply({ onlyOver: await plannedOver(planFile, definitions) });
  }
  if (options.autoApprove === true) return apply({});
  const terminal = processTerminal();
  const plan = (): Promise<ReviewedPlan> =>
    withPlatformOf(options, "read-or-empty", { definitions }, (platform) =>
      // Where nobody looks at them, costs are not estimated.
      review(platform, definitions, { ...options, costs: terminal.isTerminal }),
    );
  return applyApproved(plan, terminal, apply);
}

/** Every topic that is missing, or cannot be folded as its source says. */
async function refuseUnfitTopics(definitions: readonly Definition[], options: KafkaOptions): Promise<void> {
  const { kafkaTopicProblems } = await import("../../platform/kafka/topic-check.ts");
  const problems = await kafkaTopicProblems(definitions, kafkaSettingsOf(options));
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw first;
  throw new OnefoldError(
    "KAFKA_TOPIC_UNFIT",
    `${problems.length} problems\n  ${problems.map(({ message }) => message).join("\n  ")}`,
    {
      ...(first.where === undefined ? {} : { where: first.where }),
      ...(first.hint === undefined ? {} : { hint: first.hint }),
    },
  );
}

function printPlan(plan: Plan, warnings: readonly Impurity[], options: StandardOptions): void {
  const output = createOutput(options.json === true);
  printWarnings(warnings, output);
  output.result({ ...plan, warnings }, () => formatPlan(plan));
}

function formatPlan(plan: Plan): string {
  if (!plan.dirty) return "nothing to change";
  const count = (kind: PlannedChange["change"]): number => plan.changes.filter(({ change }) => change === kind).length;
  const done = [`${count("add")} added`, `${count("change")} changed`].filter((part) => !part.startsWith("0 "));
  return `${formatChanges(plan.changes)}\napplied: ${done.join(", ")}`;
}
