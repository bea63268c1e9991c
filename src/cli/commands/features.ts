/** `onefold features`: what there is, and by request how important it is, what it costs and who uses it. */
import { Command, Option } from "commander";
import { type FeatureDefinition, formatViewName, type ViewDefinition } from "../../define/definition.ts";
import { formatType } from "../../schema/value.ts";
import { formatAggregation, formatFreshness } from "../definition-text.ts";
import { type FeatureColumn, featureColumns, type ListedFeature, parseColumns, sortedBy } from "../feature-columns.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { entityOption, findViews, type ListOptions, ownerOption, tagOption } from "./list.ts";

const DAYS = 30;

interface FeaturesOptions extends ListOptions {
  readonly by?: readonly string[];
  readonly days: number;
  readonly unused?: true;
}

export function featuresCommand(): Command {
  const command = new Command("features")
    .description("list features, and by request how important they are, what they cost and who uses them")
    .addOption(entityOption())
    .addOption(new Option("--view <name>", "of this view, in all its versions"))
    .addOption(tagOption())
    .addOption(ownerOption())
    .addOption(
      new Option(
        "--by <columns>",
        "with a column of numbers, the largest first: importance, cost, usage, or several with commas",
      ).argParser(parseColumns),
    )
    .addOption(
      new Option("--days <number>", "days that cost and usage look back upon").default(DAYS).argParser(parseCount),
    )
    .addOption(new Option("--unused", "only those that nobody has read in these days"))
    .action(runFeatures);
  return withStandardOptions(command);
}

async function runFeatures(options: FeaturesOptions): Promise<void> {
  const { tag, owner, by = [], days, unused = false, ...ofView } = options;
  const views = await findViews(ofView);
  const wanted = unused ? [...new Set([...by, "usage"])] : by;
  const loaded =
    wanted.length === 0 ? [] : await withPlatform(options, "read", (one) => featureColumns(one, wanted, { days }));
  const columns = loaded.filter(({ name }) => by.includes(name));
  const usage = unused ? loaded.find(({ name }) => name === "usage")! : null;
  const rows = views.flatMap(({ definition, createdAt }) =>
    definition.features
      .filter((feature) => tag === undefined || tagsOf(feature, definition).includes(tag))
      .filter((feature) => owner === undefined || ownerOf(feature, definition) === owner)
      .map((feature) => ({
        feature: feature.name,
        view: formatViewName(definition),
        entity: definition.entity,
        type: formatType(feature.type),
        computes: formatAggregation(feature.aggregation),
        owner: ownerOf(feature, definition),
        tags: tagsOf(feature, definition),
        description: feature.description ?? null,
        freshness: formatFreshness(feature.freshness ?? definition.freshness),
        created_at: createdAt,
      })),
  );
  const listed = sortedBy(
    rows.filter((row) => usage === null || usage.of(row) === 0),
    columns,
  );
  const features = listed.map((row) => ({
    ...row,
    ...Object.fromEntries(columns.map((column) => [column.name, (column.json ?? column.of)(row)])),
  }));
  createOutput(options.json === true).result({ features }, () =>
    formatTable(
      ["feature", "view", "entity", "type", "computes", ...by],
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

function cellOf({ of, text }: FeatureColumn, row: ListedFeature): string {
  if (text !== undefined) return text(row);
  const value = of(row);
  return value === null ? "-" : String(Number(value.toPrecision(4)));
}

/** A feature without an owner or tags of its own has its view's. */
function ownerOf(feature: FeatureDefinition, view: ViewDefinition): string | null {
  return feature.owner ?? view.owner ?? null;
}

function tagsOf(feature: FeatureDefinition, view: ViewDefinition): readonly string[] {
  return [...(view.tags ?? []), ...(feature.tags ?? [])];
}
