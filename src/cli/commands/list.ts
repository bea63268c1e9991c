/** `onefold entities | views | services`: what is registered, with filters. */
import { Command, Option } from "commander";
import { formatViewName, type ServiceDefinition, type ViewDefinition } from "../../define/definition.ts";
import { serviceId, serviceReference, versionOfService } from "../../define/service-version.ts";
import type { Registered } from "../../registry/registry.ts";
import { describeType } from "../../schema/value.ts";
import { formatFreshness } from "../definition-text.ts";
import { createOutput } from "../output.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

export interface ListOptions extends StandardOptions {
  readonly entity?: string;
  readonly tag?: string;
  readonly owner?: string;
  readonly view?: string;
}

export const entityOption = (): Option => new Option("--entity <name>", "of this entity");
export const tagOption = (): Option => new Option("--tag <tag>", "with this tag");
export const ownerOption = (): Option => new Option("--owner <name>", "of this owner");

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
        keys: definition.keys.map((key) => ({ name: key.name, ...describeType(key.type) })),
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
          .map(({ definition }) => registry.service(serviceReference(definition as ServiceDefinition))),
      );
      const rows = services.map(({ definition, createdAt }) => ({
        service: serviceId(definition),
        version: versionOfService(definition),
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

function filters(options: ListOptions): { entity?: string; tag?: string; owner?: string } {
  return {
    ...(options.entity === undefined ? {} : { entity: options.entity }),
    ...(options.tag === undefined ? {} : { tag: options.tag }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
  };
}

/** In all versions. */
export function findViews(options: ListOptions): Promise<readonly Registered<ViewDefinition>[]> {
  return withPlatform(options, "read", async ({ registry }) => {
    const found = registry.find({
      kind: "view",
      ...filters(options),
      ...(options.view === undefined ? {} : { name: options.view }),
    });
    // Throws where there is none of the name.
    if (found.length === 0 && options.view !== undefined) registry.view(options.view);
    const names = new Set(found.map(({ definition }) => formatViewName(definition as ViewDefinition)));
    return registry.views().filter(({ definition }) => names.has(formatViewName(definition)));
  });
}
