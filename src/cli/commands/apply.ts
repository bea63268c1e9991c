/** `onefold plan` and `onefold apply`: what definitions would change, and changing it. */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import type { Plan } from "../../registry/registry.ts";
import { formatChanges } from "../change-text.ts";
import { EXIT } from "../exit-codes.ts";
import { kafkaSettingsOf, type KafkaOptions, withKafkaOptions } from "../kafka-options.ts";
import { createOutput } from "../output.ts";
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

const STRICT = "refuse definitions whose functions are not pure";

export function planCommand(): Command {
  const command = new Command("plan")
    .description("show what apply would change")
    .addOption(new Option("--check", "exit with 3 if anything would change"))
    .addOption(new Option("--strict", STRICT))
    .action(async (options: StandardOptions & { check?: true; strict?: true }) => {
      const { definitions, warnings } = await requireCheckedDefinitions(options);
      if (options.strict === true) refuseWarnings(warnings);
      const plan = await withPlatformOf(options, "read-or-empty", { definitions }, async (platform) =>
        platform.plan(definitions),
      );
      printPlan(plan, warnings, options);
      if (plan.refused || (options.check === true && plan.dirty)) process.exitCode = EXIT.refused;
    });
  return withStandardOptions(command);
}

export function applyCommand(): Command {
  const command = new Command("apply")
    .description(
      "register the definitions, here or with the server that owns the data folder; new views are computed from history",
    )
    .addOption(new Option("--strict", STRICT));
  withKafkaOptions(command).action(async (options: StandardOptions & KafkaOptions & { strict?: true }) => {
    const output = createOutput(options.json === true);
    const { definitions, warnings } = await requireCheckedDefinitions(options);
    if (options.strict === true) refuseWarnings(warnings);
    if (options.kafka !== undefined) await refuseUnfitTopics(definitions, options);
    const access = accessToRegister(options, "own-or-create");
    const asked = { definitions: resolve(options.definitions ?? DEFINITIONS_FILE) };
    const plan = await output.withProgress("apply", (onProgress) =>
      asOwner(options, access, { definitions, onProgress }, { work: "apply", asked, onProgress }, (platform) =>
        platform.apply(definitions, { onProgress }),
      ),
    );
    const { workerNotes } = await import("../../platform/kafka/worker-notes.ts");
    for (const note of workerNotes(definitions, false)) output.note(`note: ${note}`);
    printPlan(plan, warnings, options);
  });
  return withStandardOptions(command);
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
  return plan.dirty ? formatChanges(plan.changes) : "nothing to change";
}
