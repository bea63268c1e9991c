/** `onefold plan`: what applying definitions would change, what that breaks and costs, and what has drifted. */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import type { Definition } from "../../define/definition.ts";
import type { Platform } from "../../platform.ts";
import type { ReviewedPlan } from "../../platform/reviewed-plan.ts";
import type { Drifted } from "../../registry/plan-review.ts";
import { EXIT } from "../exit-codes.ts";
import { createOutput } from "../output.ts";
import { planText } from "../plan-text.ts";
import { printWarnings, refuseWarnings } from "../purity/definition-warnings.ts";
import {
  requireCheckedDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";

interface PlanOptions extends StandardOptions {
  readonly check?: true;
  readonly detailedExitcode?: true;
  readonly out?: string;
  readonly costs: boolean;
  readonly strict?: true;
}

export function planCommand(): Command {
  const command = new Command("plan")
    .description("show what apply would change, what that breaks, what it costs, and what has drifted")
    .addOption(new Option("--check", "exit with 3 if anything would change"))
    .addOption(new Option("--detailed-exitcode", "exit with 5 if anything would change, with 3 if it would be refused"))
    .addOption(new Option("--out <file>", "write the plan, for: onefold apply FILE"))
    .addOption(new Option("--no-costs", "do not estimate what computing views from history takes"))
    .addOption(new Option("--strict", "refuse definitions whose functions are not pure"))
    .action(async (options: PlanOptions) => {
      const output = createOutput(options.json === true);
      const { definitions, warnings } = await requireCheckedDefinitions(options);
      if (options.strict === true) refuseWarnings(warnings);
      const plan = await withPlatformOf(options, "read-or-empty", { definitions }, (platform) =>
        review(platform, definitions, options),
      );
      printWarnings(warnings, output);
      if (options.out !== undefined && !plan.refused) {
        const { writePlanFile } = await import("../plan-file.ts");
        await writePlanFile(options.out, plan);
      }
      output.result({ ...plan, warnings }, () => planText(plan));
      if (plan.refused || (options.check === true && plan.dirty)) process.exitCode = EXIT.refused;
      else if (options.detailedExitcode === true && plan.dirty) process.exitCode = EXIT.changes;
    });
  return withStandardOptions(command);
}

/** With what the server of the data folder has loaded, where there is one. */
export async function review(
  platform: Platform,
  definitions: readonly Definition[],
  options: StandardOptions & { readonly costs?: boolean },
): Promise<ReviewedPlan> {
  const { reviewedPlan } = await import("../../platform/reviewed-plan.ts");
  const loaded = await loadedByServer(options.data);
  return reviewedPlan(platform, definitions, {
    loaded,
    ...(options.costs === undefined ? {} : { costs: options.costs }),
  });
}

async function loadedByServer(dataDir: string): Promise<readonly Drifted[]> {
  if (!existsSync(dataDir)) return [];
  const { askOwner } = await import("../owner-desk.ts");
  const answered = await askOwner<readonly Drifted[]>(dataDir, "loaded", {}, () => {});
  return answered?.done ?? [];
}
