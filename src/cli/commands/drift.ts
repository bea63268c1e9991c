/** `onefold drift`: how far a service's values are from what they were, feature by feature. */
import { writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { Platform } from "../../platform.ts";
import type { DriftOptions, DriftReport, DriftSettings, DriftSide } from "../../platform/monitoring/drift-desk.ts";
import { measureNamed, reportToJson, sideToJson } from "../../platform/monitoring/drift-output.ts";
import { driftReportText } from "../drift-text.ts";
import { serviceReference } from "../../define/service-version.ts";
import { createOutput, type Output } from "../output.ts";
import { parseCount, parseDecimal } from "../option-values.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { asOwner, type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface DriftCommandOptions extends StandardOptions, WorkerTableOptions {
  readonly of: "served" | "folded";
  readonly service?: string;
  readonly baseline?: string;
  readonly current?: string;
  readonly exact?: true;
  readonly measure?: string;
  readonly threshold?: number;
  readonly featureMeasure?: Readonly<Record<string, string>>;
  readonly samplesMin?: number;
  readonly html?: string;
  readonly choose?: true;
  readonly forgetChosen?: true;
}

export function driftCommand(): Command {
  const sources = "training:ID, file:PATH, range:A..B, last:24h, folded:A..B, fit:N or chosen";
  const command = new Command("drift")
    .description("compare the values of a service with what they were; works beside a running server")
    .option("--service <name>", "the service (default: every one of which served values are kept)")
    .option("--baseline <values>", `what is compared with: ${sources} (default: chosen, else the week before)`)
    .option("--current <values>", "what is compared, named likewise (default: last:24h)")
    .addOption(
      new Option("--of <values>", "what times name: values that were served, or that were folded")
        .choices(["served", "folded"])
        .default("served"),
    )
    .option("--exact", "count every value that is kept, instead of sketches; of served ones those in the serving log")
    .option(
      "--measure <name>",
      "judge by psi, ks, jensenshannon, wasserstein, chisquare, z or l_infinity where it fits",
    )
    .addOption(new Option("--threshold <number>", "from where on it is drift").argParser(parseDecimal))
    .addOption(
      new Option(
        "--feature-measure <name=measure>",
        "of one feature, as delay=psi or delay=psi:0.2; may be repeated",
      ).argParser(collectMeasure),
    )
    .addOption(new Option("--samples-min <count>", "judge nothing of fewer values").argParser(parseCount))
    .option("--html <file>", "also write a report with plots, as one file that needs no other")
    .option("--choose", "compare with the baseline from now on, in alerts as well")
    .option("--forget-chosen", "compare with the week before again")
    .action(async (options: DriftCommandOptions) => {
      if (options.choose === true || options.forgetChosen === true) return choose(options);
      const output = createOutput(options.json === true);
      const reports = await withPlatformOf(options, "read", workerTablesOf(options), ({ drift, registry }) => {
        const folded = registry.services().map(({ definition }) => serviceReference(definition));
        return reportsOf(drift, options, output, options.of === "folded" ? folded : null);
      });
      if (options.html !== undefined) {
        const { reportsToHtml } = await import("../../platform/monitoring/drift-html.ts");
        await writeFile(options.html, reportsToHtml(reports));
        output.note(`written to ${options.html}`);
      }
      output.result({ reports: reports.map(reportToJson) }, () => reports.map(driftReportText).join("\n\n"));
    });
  return withStandardOptions(withWorkerTableOptions(command));
}

/** Of all services, given by reference, those that can be compared; of one that was named the report or the error. */
async function reportsOf(
  drift: Platform["drift"],
  options: DriftCommandOptions,
  { note }: Output,
  services: readonly string[] | null,
): Promise<DriftReport[]> {
  if (options.service !== undefined) return [await drift.report({ service: options.service, ...askedOf(options) })];
  await drift.checkSides(options);
  const reports: DriftReport[] = [];
  let refused: OnefoldError | null = null;
  for (const service of services ?? (await drift.services())) {
    try {
      reports.push(await drift.report({ service, ...askedOf(options) }));
    } catch (error) {
      refused = asOnefoldError(error);
      if (refused.code !== "VALUES_MISSING" && refused.code !== "SERVICE_UNKNOWN") throw error;
      note(refused.message);
    }
  }
  if (reports.length > 0) return reports;
  throw (
    refused ??
    new OnefoldError("VALUES_MISSING", "no served values are kept of any service", {
      hint: "name one with --service and its values with --current, or serve first",
    })
  );
}

async function choose(options: DriftCommandOptions): Promise<void> {
  const { service, baseline, forgetChosen } = options;
  if (service === undefined || (baseline === undefined && forgetChosen !== true)) {
    throw new OnefoldError("REQUEST_INVALID", "a baseline is chosen for one service", {
      hint: "onefold drift --service S --baseline training:ID --choose",
    });
  }
  const source = forgetChosen === true ? null : baseline!;
  const side = await asOwner(
    options,
    "own",
    {},
    { work: "chooseDrift", asked: { service, source } },
    async ({ drift }) => {
      if (source === null) return drift.forgetChosen(service);
      const chosen: DriftSide = await drift.choose(service, source);
      return sideToJson(chosen);
    },
  );
  createOutput(options.json === true).result({ service, baseline: side ?? null }, () =>
    source === null ? `${service} is compared with the week before` : `${service} is compared with ${source}`,
  );
}

function askedOf(options: DriftCommandOptions): Omit<DriftOptions, "service"> {
  const { baseline, current, exact, of } = options;
  return {
    of,
    ...(baseline === undefined ? {} : { baseline }),
    ...(current === undefined ? {} : { current }),
    exact: exact === true,
    settings: settingsOf(options),
  };
}

function settingsOf({
  measure,
  threshold,
  featureMeasure = {},
  samplesMin,
}: Partial<DriftCommandOptions>): DriftSettings {
  const features = Object.entries(featureMeasure).map(([feature, text]) => {
    const [name, limit] = text.split(":");
    const own = { measure: measureNamed(name!) };
    return [feature, limit === undefined ? own : { ...own, threshold: parseDecimal(limit) }] as const;
  });
  return {
    ...(measure === undefined ? {} : { measure: measureNamed(measure) }),
    ...(threshold === undefined ? {} : { threshold }),
    ...(samplesMin === undefined ? {} : { samplesMin }),
    features: Object.fromEntries(features),
  };
}

function collectMeasure(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new OnefoldError("REQUEST_INVALID", `"${text}" is not feature=measure`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
