/** `onefold entities | views | services | features`: what is registered, with filters. */
import { Command, Option } from "commander";
import { type FeatureDefinition, formatViewName, type ViewDefinition } from "../../define/definition.ts";
import { formatType } from "../../schema/value.ts";
import { formatAggregation, formatFreshness } from "../definition-text.ts";
import { featureColumns, parseColumns, sortedBy } from "../feature-columns.ts";
import { createOutput } from "../output.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface ListOptions extends StandardOptions {
  readonly entity?: string;
  readonly tag?: string;
  readonly owner?: string;
  readonly view?: string;
  readonly by?: readonly string[];
}

const entityOption = (): Option => new Option("--entity <name>", "of this entity");
const tagOption = (): Option => new Option("--tag <tag>", "with this tag");
const ownerOption = (): Option => new Option("--owner <name>", "of this owner");

export function entitiesCommand(): Command {
  const command = new Command("entities")
    .description("list entities and their key columns")
    .addOption(tagOption())
    .addOption(ownerOption())
    .action(async (options: ListOptions) => {
      const entities = await withPlatform(options, "read", async ({ registry }) =>
        registry
          .find({ kind: "entity", ...filters(options) })
          .map(({ definition }) => registry.entity(definition.name)),
      );
      const rows = entities.map(({ definition, createdAt }) => ({
        name: definition.name,
        keys: definition.keys.map((key) => ({ name: key.name, type: formatType(key.type) })),
        owner: definition.owner ?? null,
        tags: definition.tags ?? [],
        description: definition.description ?? null,
        created_at: createdAt,
      }));
      createOutput(options.json === true).result({ entities: rows }, () =>
        formatTable(
          ["entity", "keys", "owner", "description"],
          rows.map((row) => [
            row.name,
            row.keys.map((key) => `${key.name} ${key.type}`).join(", "),
            row.owner ?? "-",
            row.description ?? "-",
          ]),
        ),
      );
    });
  return withStandardOptions(command);
}

export function viewsCommand(): Command {
  const command = new Command("views")
    .description("list feature views in all versions")
    .addOption(entityOption())
    .addOption(tagOption())
    .addOption(ownerOption())
    .action(async (options: ListOptions) => {
      const views = await findViews(options);
      const rows = views.map(({ definition, createdAt }) => ({
        view: formatViewName(definition),
        entity: definition.entity,
        source: definition.source,
        features: definition.features.length,
        freshness: formatFreshness(definition.freshness),
        online: definition.online,
        offline: definition.offline,
        owner: definition.owner ?? null,
        tags: definition.tags ?? [],
        created_at: createdAt,
      }));
      createOutput(options.json === true).result({ views: rows }, () =>
        formatTable(
          ["view", "entity", "source", "features", "freshness", "owner", "created at"],
          rows.map((row) => [
            row.view,
            row.entity,
            row.source,
            String(row.features),
            row.freshness,
            row.owner ?? "-",
            row.created_at,
          ]),
        ),
      );
    });
  return withStandardOptions(command);
}

export function servicesCommand(): Command {
  const command = new Command("services")
    .description("list feature services")
    .addOption(tagOption())
    .addOption(ownerOption())
    .action(async (options: ListOptions) => {
      const services = await withPlatform(options, "read", async ({ registry }) =>
        registry
          .find({ kind: "service", ...filters(options) })
          .map(({ definition }) => registry.service(definition.name)),
      );
      const rows = services.map(({ definition, createdAt }) => ({
        service: definition.name,
        features: definition.features.map((feature) => feature.as),
        views: [
          ...new Set(definition.features.map((each) => formatViewName({ name: each.view, version: each.version }))),
        ],
        owner: definition.owner ?? null,
        tags: definition.tags ?? [],
        created_at: createdAt,
      }));
      createOutput(options.json === true).result({ services: rows }, () =>
        formatTable(
          ["service", "features", "views", "owner", "created at"],
          rows.map((row) => [
            row.service,
            String(row.features.length),
            row.views.join(", "),
            row.owner ?? "-",
            row.created_at,
          ]),
        ),
      );
    });
  return withStandardOptions(command);
}

export function featuresCommand(): Command {
  const command = new Command("features")
    .description("list features")
    .addOption(entityOption())
    .addOption(new Option("--view <name>", "of this view, in all its versions"))
    .addOption(tagOption())
    .addOption(ownerOption())
    .addOption(
      new Option("--by <columns>", "with a column of numbers, the largest first: importance").argParser(parseColumns),
    )
    .action(async (options: ListOptions) => {
      const { tag, owner, by = [], ...ofView } = options;
      const views = await findViews(ofView);
      const columns = by.length === 0 ? [] : await withPlatform(options, "read", (one) => featureColumns(one, by));
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
      const listed = sortedBy(rows, columns).map((row) => ({
        ...row,
        ...Object.fromEntries(columns.map(({ name, of }) => [name, of(row)])),
      }));
      createOutput(options.json === true).result({ features: listed }, () =>
        formatTable(
          ["feature", "view", "entity", "type", "computes", ...by],
          listed.map((row) => [
            row.feature,
            row.view,
            row.entity,
            row.type,
            row.computes,
            ...columns.map(({ of }) => numberText(of(row))),
          ]),
        ),
      );
    });
  return withStandardOptions(command);
}

function numberText(value: number | null): string {
  return value === null ? "-" : String(Number(value.toPrecision(4)));
}

/** A feature without an owner or tags of its own has its view's. */
function ownerOf(feature: FeatureDefinition, view: ViewDefinition): string | null {
  return feature.owner ?? view.owner ?? null;
}

function tagsOf(feature: FeatureDefinition, view: ViewDefinition): readonly string[] {
  return [...(view.tags ?? []), ...(feature.tags ?? [])];
}

function filters(options: ListOptions): { entity?: string; tag?: string; owner?: string } {
  return {
    ...(options.entity === undefined ? {} : { entity: options.entity }),
    ...(options.tag === undefined ? {} : { tag: options.tag }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
  };
}

function findViews(options: ListOptions) {
  return withPlatform(options, "read", async ({ registry }) => {
    const found = registry.find({
      kind: "view",
      ...filters(options),
      ...(options.view === undefined ? {} : { name: options.view }),
    });
    const names = new Set(found.map(({ definition }) => formatViewName(definition as ViewDefinition)));
    return registry.views().filter(({ definition }) => names.has(formatViewName(definition)));
  });
}
