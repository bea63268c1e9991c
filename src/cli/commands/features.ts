/** `onefold features`: what there is, and by request how important it is, whether it drifts, what it costs and who uses it. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import { type FeatureDefinition, formatViewName, type ViewDefinition } from "../../define/definition.ts";
import { describeType } from "../../schema/value.ts";
import { formatAggregation, formatFreshness } from "../definition-text.ts";
import type {
  ArrangedFeatures,
  FeatureColumnName,
  FeatureSelection,
  NamedFeature,
} from "../../platform/monitoring/feature-columns.ts";
import { cellOf, parseColumns } from "../feature-columns.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { entityOption, findViews, type ListOptions, ownerOption, tagOption } from "./list.ts";

const DAYS = 30;

interface FeaturesOptions extends ListOptions {
  readonly by?: readonly FeatureColumnName[];
  readonly days: number;
  readonly drifting?: true;
  readonly useless?: true;
  readonly unused?: true;
}

export function featuresCommand(): Command {
  const command = new Command("features")
    .description(
      "list features, and by request how important they are, whether they drift, what they cost and who uses them",
    )
    .addOption(entityOption())
    .addOption(new Option("--view <name>", "of this view, in all its versions"))
    .addOption(tagOption())
    .addOption(ownerOption())
    .addOption(
      new Option(
        "--by <columns>",
        "with a column of numbers, the largest first: importance, drift, cost, usage, or several with commas",
      ).argParser(parseColumns),
    )
    .addOption(
      new Option("--days <number>", "days that cost and usage look back upon").default(DAYS).argParser(parseCount),
    )
    .addOption(new Option("--drifting", "only those whose values drift, the most important first"))
    .addOption(
      new Option("--useless", "only those that nobody has read or no model finds important, the most expensive first"),
    )
    .addOption(new Option("--unused", "only those that nobody has read in these days"))
    .action(runFeatures);
  return withStandardOptions(command);
}

async function runFeatures(options: FeaturesOptions): Promise<void> {
  const { tag, owner, by, days, ...ofView } = options;
  const only = selectionOf(options);
  const views = await findViews(ofView);
  const rows = views.flatMap(({ definition, createdAt }) =>
    definition.features
      .filter((feature) => tag === undefined || tagsOf(feature, definition).includes(tag))
      .filter((feature) => owner === undefined || ownerOf(feature, definition) === owner)
      .map((feature) => ({
        feature: feature.name,
        view: formatViewName(definition),
        entity: definition.entity,
        ...describeType(feature.type),
        computes: formatAggregation(feature.aggregation),
        owner: ownerOf(feature, definition),
        tags: tagsOf(feature, definition),
        description: feature.description ?? null,
        freshness: formatFreshness(feature.freshness ?? definition.freshness),
        created_at: createdAt,
      })),
  );
  const asked = { ...(by === undefined ? {} : { by }), ...(only === undefined ? {} : { only }), days };
  const { columns, rows: listed } = await arranged(options, rows, asked);
  const features = listed.map((row) => ({
    ...row,
    ...Object.fromEntries(columns.map(({ name, json }) => [name, json(row)])),
  }));
  createOutput(options.json === true).result({ features }, () =>
    formatTable(
      ["feature", "view", "entity", "type", "computes", ...columns.map(({ name }) => name)],
      listed.map((row) => [
        row.feature,
        row.view,
        row.entity,
        row.type,
        row.computes,
        ...columns.map((column) => cellOf(column, row)),
      ]),
    ),
  );
}

function selectionOf(options: FeaturesOptions): FeatureSelection | undefined {
  const asked = (["drifting", "useless", "unused"] as const).filter((name) => options[name] === true);
  if (asked.length < 2) return asked[0];
  throw new OnefoldError("REQUEST_INVALID", `--${asked.join(" and --")} cannot be asked for together`);
}

/** Nothing is opened again where nothing but the list is asked for. */
async function arranged<T extends NamedFeature>(
  options: FeaturesOptions,
  rows: readonly T[],
  asked: { readonly by?: readonly FeatureColumnName[]; readonly only?: FeatureSelection; readonly days: number },
): Promise<ArrangedFeatures<T>> {
  if (asked.by === undefined && asked.only === undefined) return { columns: [], rows };
  const { arrangeFeatures } = await import("../../platform/monitoring/feature-columns.ts");
  return withPlatform(options, "read", (platform) => arrangeFeatures(platform, rows, asked));
}

/** A feature without an owner or tags of its own has its view's. */
function ownerOf(feature: FeatureDefinition, view: ViewDefinition): string | null {
  return feature.owner ?? view.owner ?? null;
}

function tagsOf(feature: FeatureDefinition, view: ViewDefinition): readonly string[] {
  return [...(view.tags ?? []), ...(feature.tags ?? [])];
}
