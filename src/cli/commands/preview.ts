/** `onefold preview`: a view's values on a sample of history, without registering anything. */
import { Command, Option } from "commander";
import { formatMicros } from "../../base/micros.ts";
import { valueToJson } from "../../schema/check-value.ts";
import { parseCount, parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { printWarnings } from "../purity/definition-warnings.ts";
import {
  requireCheckedDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";

interface PreviewOptions extends StandardOptions {
  readonly sample: number;
}

export function previewCommand(): Command {
  const command = new Command("preview")
    .description("compute a view of the definitions file on a sample of its entities, registering nothing")
    .argument("<view>", "the view, as name or name@version")
    .addOption(
      new Option("--sample <entities>", "how many entities, those with the newest events")
        .default(10)
        .argParser(parseCount),
    )
    .action(async (view: string, options: PreviewOptions) => {
      const output = createOutput(options.json === true);
      const { definitions, warnings } = await requireCheckedDefinitions(options);
      printWarnings(warnings, output);
      const preview = await withPlatformOf(options, "own-or-read", { definitions }, (platform) =>
        platform.preview({ ...parseViewName(view), definitions, entityCount: options.sample }),
      );
      const { asOf, types, ...rest } = preview;
      const rows = preview.rows.map(({ lastEventTime, values, ...row }) => ({
        ...row,
        lastEventTime: lastEventTime === null ? null : formatMicros(lastEventTime),
        values: values.map((value, i) => valueToJson(value, types[i]!)),
      }));
      const answer = { ...rest, asOf: asOf === null ? null : formatMicros(asOf), rows, warnings };
      output.result(answer, () =>
        rows.length === 0
          ? "no events yet: take some in with `onefold ingest`"
          : formatTable(
              ["entity", "events", ...preview.features],
              rows.map((row) => [row.key, String(row.events), ...row.values.map(formatCell)]),
            ),
      );
    });
  return withStandardOptions(command);
}
