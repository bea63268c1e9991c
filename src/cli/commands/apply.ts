/** `onefold plan` and `onefold apply`: what definitions would change, and changing it. */
import { Command, Option } from "commander";
import type { Plan } from "../../registry/registry.ts";
import { formatChanges } from "../change-text.ts";
import { EXIT } from "../exit-codes.ts";
import { createOutput } from "../output.ts";
import { requireDefinitions, type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";

export function planCommand(): Command {
  const command = new Command("plan")
    .description("show what apply would change")
    .addOption(new Option("--check", "exit with 3 if anything would change"))
    .action(async (options: StandardOptions & { check?: true }) => {
      const definitions = await requireDefinitions(options);
      const plan = await withPlatform(options, "read-or-empty", async (platform) => platform.plan(definitions));
      printPlan(plan, options);
      if (plan.refused || (options.check === true && plan.dirty)) process.exitCode = EXIT.refused;
    });
  return withStandardOptions(command);
}

export function applyCommand(): Command {
  const command = new Command("apply")
    .description("register the definitions; views that are new on a source with events are computed from them")
    .action(async (options: StandardOptions) => {
      const output = createOutput(options.json === true);
      const definitions = await requireDefinitions(options);
      const plan = await output.withProgress("apply", (onProgress) =>
        withPlatform(options, "own-or-create", (platform) => platform.apply(definitions, { onProgress })),
      );
      printPlan(plan, options);
    });
  return withStandardOptions(command);
}

function printPlan(plan: Plan, options: StandardOptions): void {
  createOutput(options.json === true).result(plan, () => formatPlan(plan));
}

function formatPlan(plan: Plan): string {
  return plan.dirty ? formatChanges(plan.changes) : "nothing to change";
}
