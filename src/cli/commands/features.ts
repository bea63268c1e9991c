/** `onefold features`: what there is, and by request what it costs and who uses it. */
import { Command, InvalidArgumentError, Option } from "commander";
import { formatViewName } from "../../define/definition.ts";
import type { FeatureDefinition, ViewDefinition } from "../../define/definition.ts";
import { formatType } from "../../schema/value.ts";
import { formatAggregation, formatFreshness } from "../definition-text.ts";
import { FEATURE_MEASURES, type MeasuredFeature } from "../feature-measures.ts";
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
  const measures = Object.keys(FEATURE_MEASURES).join(",");
  const command = new Command("features")
    .description("list features, and by request what they cost and who uses them")
    .addOption(entityOption())
    .addOption(new Option("--view <name>", "of this view, in all its versions"))
    .addOption(tagOption())
    .addOption(ownerOption())
    .addOption(
      new Option("--by <measures>", `show these of each, the largest of the first at the top: ${measures}`).argParser(
        parseMeasures,
      ),
    )
    .addOption(new Option("--days <number>", "days that are looked back upon").default(DAYS).argParser(parseCount))
    .addOption(new Option("--unused", "only those that nobody has read in these days"))
    .action(runFeatures);
  return withStandardOptions(command);
}

async function runFeatures(options: FeaturesOptions): Promise<void> {
  const { tag, owner, by = options.unused === true ? ["usage"] : [], days, unused = false, ...ofView } = options;
  const views = await findViews(ofView);
  const measures = await measuresOf(options, unused ? [...new Set([...by, "usage"])] : by, days);
  const rows = views.flatMap(({ definition, createdAt }) =>
    definition.features
      .filter((feature) => tag === undefined || tagsOf(feature, definition).includes(tag))
      .filter((feature) => owner === undefined || ownerOf(feature, definition) === owner)
      .map((feature) => {
        const view = formatViewName(definition);
        const measured = new Map(Array.from(measures, ([name, measure]) => [name, measure(view, feature.name)]));
        const shown = {
          feature: feature.name,
          view,
          entity: definition.entity,
          type: formatType(feature.type),
          computes: formatAggregation(feature.aggregation),
          owner: ownerOf(feature, definition),
          tags: tagsOf(feature, definition),
          description: feature.description ?? null,
          freshness: formatFreshness(feature.freshness ?? definition.freshness),
          created_at: createdAt,
          ...Object.assign({}, ...Array.from(measured.values(), ({ json }) => json)),
        };
        return { shown, measured };
      }),
  );
  const kept = unused ? rows.filter(({ measured }) => measured.get("usage")!.rank === 0) : rows;
  const [first] = by;
  if (first !== undefined) kept.sort((a, b) => b.measured.get(first)!.rank - a.measured.get(first)!.rank);
  createOutput(options.json === true).result({ features: kept.map(({ shown }) => shown) }, () =>
    formatTable(
      ["feature", "view", "entity", "type", "computes", ...by.flatMap((name) => FEATURE_MEASURES[name]!.headings)],
      kept.map(({ shown, measured }) => [
        shown.feature,
        shown.view,
        shown.entity,
        shown.type,
        shown.computes,
        ...by.flatMap((name) => measured.get(name)!.cells),
      ]),
    ),
  );
}

type Measure = (view: string, feature: string) => MeasuredFeature;

async function measuresOf(
  options: FeaturesOptions,
  names: readonly string[],
  days: number,
): Promise<ReadonlyMap<string, Measure>> {
  if (names.length === 0) return new Map();
  return withPlatform(options, "read", async ({ dataDir, clock }) => {
    const loaded = new Map<string, Measure>();
    for (const name of names) loaded.set(name, await FEATURE_MEASURES[name]!.load({ dataDir, clock, days }));
    return loaded;
  });
}

function parseMeasures(text: string): readonly string[] {
  const names = text.split(",");
  const unknown = names.find((name) => !Object.hasOwn(FEATURE_MEASURES, name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`There is no "${unknown}": give some of ${Object.keys(FEATURE_MEASURES).join(", ")}.`);
}

/** A feature without an owner or tags of its own has its view's. */
function ownerOf(feature: FeatureDefinition, view: ViewDefinition): string | null {
  return feature.owner ?? view.owner ?? null;
}

function tagsOf(feature: FeatureDefinition, view: ViewDefinition): readonly string[] {
  return [...(view.tags ?? []), ...(feature.tags ?? [])];
}
