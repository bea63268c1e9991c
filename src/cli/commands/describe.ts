/** `onefold describe NAME`: one definition in full, as it is registered. */
import { Command } from "commander";
import { formatDuration } from "../../base/micros.ts";
import {
  type Definition,
  formatViewName,
  type ServiceDefinition,
  type SourceDefinition,
  type ViewDefinition,
} from "../../define/definition.ts";
import { OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import { type Registered, type Registry } from "../../registry/registry.ts";
import { formatType } from "../../schema/value.ts";
import { formatAggregation, formatExpression, formatFreshness } from "../definition-text.ts";
import { createOutput } from "../output.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

export function describeCommand(): Command {
  const command = new Command("describe")
    .description("show one definition in full")
    .argument("<name>", "an entity, source, view (name or name@version), on-demand view or service")
    .action(async (name: string, options: StandardOptions) => {
      const registered = await withPlatform(options, "read", async (platform) =>
        findDefinition(platform.registry, name),
      );
      createOutput(options.json === true).result(registered, () => formatDefinition(registered));
    });
  return withStandardOptions(command);
}

function allDefinitions(registry: Registry): readonly Registered<Definition>[] {
  return [
    ...registry.entities(),
    ...registry.sources(),
    ...registry.views(),
    ...registry.onDemandViews(),
    ...registry.services(),
  ];
}

/** By `name`, or by `name@version`; the newest version where none is given. */
function findDefinition(registry: Registry, name: string): Registered<Definition> {
  const all = allDefinitions(registry);
  const byName = all.filter(({ definition }) => definition.name === name || fullName(definition) === name);
  const found = byName.find(({ definition }) => definition.kind !== "view") ?? newest(byName);
  if (found !== undefined) return found;
  throw new OnefoldError("DEFINITION_INVALID", `nothing registered is called "${name}"`, {
    candidates: nearestNames(name, [...new Set(all.map(({ definition }) => definition.name))]),
  });
}

function newest(versions: readonly Registered<Definition>[]): Registered<Definition> | undefined {
  const versionOf = ({ definition }: Registered<Definition>): number =>
    definition.kind === "view" && definition.version !== "dev" ? definition.version : 0;
  return versions.toSorted((a, b) => versionOf(b) - versionOf(a))[0];
}

function fullName(definition: Definition): string {
  return definition.kind === "view" || definition.kind === "on-demand" ? formatViewName(definition) : definition.name;
}

function formatDefinition({ definition, fingerprint, createdAt }: Registered<Definition>): string {
  const { kind, description, owner, tags } = definition;
  const head = [
    `${kind} ${fullName(definition)}`,
    ...(description === undefined ? [] : [description]),
    ...(owner === undefined ? [] : [`owner: ${owner}`]),
    ...(tags === undefined || tags.length === 0 ? [] : [`tags: ${tags.join(", ")}`]),
    `created at: ${createdAt}`,
    `fingerprint: ${fingerprint}`,
  ];
  return [...head, ...body(definition)].join("\n");
}

function body(definition: Definition): string[] {
  switch (definition.kind) {
    case "entity":
      return [`keys: ${definition.keys.map((key) => `${key.name} ${formatType(key.type)}`).join(", ")}`];
    case "stream":
    case "batch":
      return sourceBody(definition);
    case "view":
      return viewBody(definition);
    case "service":
      return serviceBody(definition);
    case "on-demand":
      return [
        `inputs: ${definition.inputs.map((input) => `${input.view}@${input.version}:${input.feature}`).join(", ")}`,
        `outputs: ${definition.outputs.map((output) => `${output.name} ${formatType(output.type)}`).join(", ")}`,
      ];
  }
}

function sourceBody(source: SourceDefinition): string[] {
  return [
    `event time: ${source.eventTime}`,
    ...(source.id === undefined ? [] : [`id: ${source.id}`]),
    "",
    formatTable(
      ["column", "type", "nullable", "from"],
      [
        ...source.columns.map((column) => [
          column.name,
          formatType(column.type),
          column.nullable ? "yes" : "no",
          "row",
        ]),
        ...source.derived.map((column) => [
          column.name,
          formatType(column.type),
          "yes",
          formatExpression(column.expression),
        ]),
      ],
    ),
    ...source.constraints.map(({ name, predicate }) => `requires ${name}: ${formatExpression(predicate)}`),
  ];
}

function viewBody(view: ViewDefinition): string[] {
  const doors = [...(view.online ? ["online"] : []), ...(view.offline ? ["offline"] : [])];
  return [
    `entity: ${view.entity}, by ${view.key.join(", ")}`,
    `source: ${view.source}`,
    `freshness: ${formatFreshness(view.freshness)}`,
    ...(view.ttlMicros === undefined ? [] : [`ttl: ${formatDuration(view.ttlMicros)}`]),
    `written: ${doors.length === 0 ? "nowhere" : doors.join(" and ")}`,
    "",
    formatTable(
      ["feature", "type", "computes", "description"],
      view.features.map((feature) => [
        feature.name,
        formatType(feature.type),
        formatAggregation(feature.aggregation),
        feature.description ?? "-",
      ]),
    ),
  ];
}

function serviceBody(service: ServiceDefinition): string[] {
  return [
    "",
    formatTable(
      ["feature", "from"],
      service.features.map((each) => [
        each.as,
        `${formatViewName({ name: each.view, version: each.version })}:${each.feature}`,
      ]),
    ),
  ];
}
