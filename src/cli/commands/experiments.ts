/** `onefold experiments`: what runs, which share of the units each version has, ramps and stops. */
import { Command, InvalidArgumentError, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type {
  ExperimentDesk,
  ShownComparisons,
  ShownExperiment,
  ShownStep,
} from "../../platform/experiments/experiment-output.ts";
import { comparisonsText, percent } from "../comparison-text.ts";
import { byOption } from "../change-options.ts";
import { createOutput } from "../output.ts";
import {
  accessToRegister,
  asOwner,
  type StandardOptions,
  withPlatform,
  withStandardOptions,
} from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface ByOption extends StandardOptions {
  readonly by: string;
}

export function experimentsCommand(): Command {
  const command = new Command("experiments").description("list experiments, ramp them, end them");
  for (const part of [list(), show(), ramp(), stop(), compare()]) command.addCommand(part);
  return command;
}

function list(): Command {
  return withStandardOptions(
    new Command("list")
      .description("experiments, and the share of each version")
      .action(async (options: StandardOptions) => {
        const experiments = await withPlatform(options, "read", (platform) => platform.experiments.list());
        createOutput(options.json === true).result({ experiments }, () => listText(experiments));
      }),
  );
}

function show(): Command {
  return withStandardOptions(
    new Command("show")
      .description("one experiment: shares, unit, and what it was told by whom and when")
      .argument("<experiment>", "its name")
      .action(async (name: string, options: StandardOptions) => {
        const shown = await withPlatform(options, "read", (platform) => platform.experiments.show(name));
        createOutput(options.json === true).result({ experiment: shown }, () => experimentText(shown));
      }),
  );
}

function ramp(): Command {
  return withStandardOptions(
    withBy(
      new Command("ramp")
        .description("give candidates larger shares; refused where a unit would move back")
        .argument("<experiment>", "its name")
        .addOption(
          new Option("--weights <list>", "whole numbers, one a version in their order, as 50,50")
            .argParser(parseWeights)
            .makeOptionMandatory(),
        ),
    ).action(async (name: string, options: ByOption & { readonly weights: readonly number[] }) => {
      const { weights, by } = options;
      const shown = await asked(options, "ramp", [name, { weights, by }]);
      createOutput(options.json === true).result({ experiment: shown }, () => listText([shown]));
    }),
  );
}

function stop(): Command {
  return withStandardOptions(
    withBy(
      new Command("stop")
        .description("end it: all units are served one of its versions")
        .argument("<experiment>", "its name")
        .requiredOption("--serve <version>", "the version, as delay@1"),
    ).action(async (name: string, options: ByOption & { readonly serve: string }) => {
      const { serve, by } = options;
      const shown = await asked(options, "stop", [name, { serve, by }]);
      createOutput(options.json === true).result({ experiment: shown }, () => listText([shown]));
    }),
  );
}

function compare(): Command {
  return withStandardOptions(
    new Command("compare")
      .description("what its shadow would have said, held against what servers of this data folder served")
      .argument("<experiment>", "its name")
      .action(async (name: string, options: StandardOptions) => {
        const { askOwner } = await import("../owner-desk.ts");
        const { refuseMissing } = await import("../../platform/data-folder.ts");
        refuseMissing(options.data);
        const asking = { call: "compare", given: [name] };
        const answered = await askOwner<ShownComparisons>(options.data, "experiments", asking, () => {});
        // What servers of the folder have seen is in it, also when none runs.
        const shown =
          answered?.done ?? (await withPlatform(options, "read", (house) => house.experiments.compare(name)));
        if (answered === null && shown.comparisons.length === 0) {
          throw new OnefoldError(
            "VALUES_MISSING",
            "nothing was compared yet: it is servers that compare, and none runs",
            {
              where: options.data,
              hint: "start one with: onefold serve",
            },
          );
        }
        createOutput(options.json === true).result(shown, () => comparisonsText(shown));
      }),
  );
}

function withBy(command: Command): Command {
  return command.addOption(byOption());
}

function asked<C extends "ramp" | "stop">(
  options: StandardOptions,
  call: C,
  given: Parameters<ExperimentDesk[C]>,
): Promise<ShownExperiment> {
  const work = { work: "experiments", asked: { call, given } };
  return asOwner(options, accessToRegister(options, "own"), {}, work, ({ experiments }) =>
    (experiments[call] as (...each: unknown[]) => Promise<ShownExperiment>)(...given),
  );
}

function parseWeights(text: string): readonly number[] {
  const weights = text.split(",").map((part) => part.trim());
  if (weights.every((part) => /^\d{1,7}$/.test(part))) return weights.map(Number);
  throw new InvalidArgumentError("Give whole numbers with commas, as 50,50.");
}

function listText(experiments: readonly ShownExperiment[]): string {
  if (experiments.length === 0) return "no experiments";
  return formatTable(
    ["experiment", "shares", "unit", "last step"],
    experiments.map((one) => [one.name, sharesText(one), unitText(one), stepText(one.steps.at(-1)!)]),
  );
}

function experimentText(shown: ShownExperiment): string {
  const { overrides, shadow, exposures, salt, steps } = shown;
  return [
    `${shown.name}: ${sharesText(shown)}`,
    `unit ${unitText(shown)}, salt ${JSON.stringify(salt)}, exposures of ${percent(exposures)} of the units are kept`,
    ...(overrides.length === 0 ? [] : [`${overrides.length} units are overridden`]),
    ...(shadow === null ? [] : [`${shadow.service} is computed beside ${percent(shadow.share)} of the answers`]),
    ...steps.map((step) => `  ${stepText(step)}`),
  ].join("\n");
}

function sharesText({ variants }: ShownExperiment): string {
  return variants.map(({ variant, share }) => `${variant} ${percent(share)}`).join(", ");
}

function unitText({ unit }: ShownExperiment): string {
  return unit.from === "entity" ? unit.name : `request.${unit.name}`;
}

function stepText({ at, by, weights, stopped }: ShownStep): string {
  const what = stopped === undefined ? `weights ${weights!.join(",")}` : `stopped at ${stopped}`;
  return `${at} ${what}${by === null ? "" : ` by ${by}`}`;
}
