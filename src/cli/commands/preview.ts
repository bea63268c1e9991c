/** `onefold preview`: a view's values on a sample of history or of local files, without registering anything. */
import { Command } from "commander";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { localEventsOf, type PreviewInputs, withPreviewInputs } from "../preview-inputs.ts";
import { parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { printWarnings } from "../purity/definition-warnings.ts";
import { formatPreview, previewError, shownPreview } from "../preview-text.ts";
import {
  requireCheckedDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";

interface PreviewOptions extends StandardOptions, PreviewInputs, WorkerTableOptions {}

export function previewCommand(): Command {
  const command = withPreviewInputs(
    new Command("preview")
      .description("compute a view of the definitions file on a sample of its entities, registering nothing")
      .argument("<view>", "the view, as name or name@version"),
  ).action(async (view: string, options: PreviewOptions) => {
    const output = createOutput(options.json === true);
    const { definitions, warnings } = await requireCheckedDefinitions(options);
    printWarnings(warnings, output);
    const wanted = { ...parseViewName(view), definitions, entityCount: options.sample };
    const local = await localEventsOf(options);
    const settings = { definitions, ...workerTablesOf(options) };
    const preview =
      local === null
        ? await withPlatformOf(options, "own-or-read", settings, (platform) => platform.preview(wanted)).catch(
            (error: unknown) => {
              throw previewError(error);
            },
          )
        : await local.preview(wanted).finally(() => local.close());
    const shown = shownPreview(preview);
    output.result({ ...shown, warnings }, () => formatPreview(shown));
  });
  return withStandardOptions(withWorkerTableOptions(command, ["events"]));
}
