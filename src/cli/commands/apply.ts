/** `onefold plan` and `onefold apply`: what definitions would change, and changing it. */
import { relative } from "node:path";
import { Command, Option } from "commander";
import type { Plan, PlannedChange } from "../../registry/registry.ts";
import { EXIT } from "../exit-codes.ts";
import { createOutput } from "../output.ts";
import { printWarnings, refuseWarnings } from "../purity/definition-warnings.ts";
import type { Impurity } from "../purity/find-impurities.ts";
import {
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
    .description("register the definitions; views that are new on a source with events are computed from them")
    .addOption(new Option("--strict", STRICT))
    .action(async (options: StandardOptions & { strict?: true }) => {
      const output = createOutput(options.json === true);
      const { definitions, warnings } = await requireCheckedDefinitions(options);
      if (options.strict === true) refuseWarnings(warnings);
      const plan = await output.withProgress("apply", (onProgress) =>
        withPlatformOf(options, "own-or-create", { definitions }, (platform) =>
          platform.apply(definitions, { onProgress }),
        ),
      );
      printPlan(plan, warnings, options);
    });
  return withStandardOptions(command);
}

function printPlan(plan: Plan, warnings: readonly Impurity[], options: StandardOptions): void {
  const output = createOutput(options.json === true);
  printWarnings(warnings, output);
  output.result({ ...plan, warnings }, () => formatPlan(plan));
}

const SIGNS: Readonly<Record<PlannedChange["change"], string>> = {
  add: "+",
  change: "~",
  remove: "-",
  unchanged: " ",
  refuse: "!",
};

export function formatPlan(plan: Plan): string {
  const changes = plan.changes.filter((change) => change.change !== "unchanged");
  if (changes.length === 0) return "nothing to change";
  return changes
    .map(({ change, kind, name, details, where }) =>
      [
        `${SIGNS[change]} ${kind} ${name}${where === undefined ? "" : `  (${relative(process.cwd(), where)})`}`,
        ...(change === "refuse" ? ["    refused: what is registered never changes; give it the next version"] : []),
        ...details.map((detail) => `    ${detail}`),
      ].join("\n"),
    )
    .join("\n");
}
