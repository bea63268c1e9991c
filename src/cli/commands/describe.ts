/** `onefold describe NAME`: one definition in full, as it is registered and as `GET /registry/...` answers it. */
import { Command } from "commander";
import { type ErrorCode, OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import { type Definition, formatViewName } from "../../define/definition.ts";
import { expressionText } from "../../define/expression-text.ts";
import { bareNameOf, serviceReference } from "../../define/service-version.ts";
import { compareVersions, shownName, versionOf } from "../../registry/definition-set.ts";
import type { Platform } from "../../platform.ts";
import type { Registered, Registry } from "../../registry/registry.ts";
import { formatAggregation } from "../definition-text.ts";
import { createOutput } from "../output.ts";
import { pollStatusOf } from "../poll-status-text.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";

/** An answer of the registry's routes. */
type Answer = Readonly<Record<string, unknown>>;

const LISTS: Readonly<Record<Definition["kind"], string>> = {
  entity: "entities",
  stream: "sources",
  batch: "sources",
  view: "views",
  "on-demand": "on_demand_views",
  service: "services",
  experiment: "experiments",
  webhook: "destinations",
  command: "destinations",
  alert: "alert_rules",
  retrain: "alert_rules",
};

export function describeCommand(): Command {
  const command = new Command("describe")
    .description("show one definition in full")
    .argument("<name>", "an entity, source, view (name or name@version), on-demand view, service or experiment")
    .action(async (name: string, options: StandardOptions) => {
      const [definition, answer] = await withPlatform(options, "read", async (platform) => {
        const found = findDefinition(platform.registry, name).definition;
        const path = `/registry/${LISTS[found.kind]}/${encodeURIComponent(fullName(found))}`;
        const answer = await platform.request("GET", path);
        if (found.kind === "stream" && found.poll !== undefined) {
          return [found, { ...answer, poll_status: await pollStatusOf(platform.dataDir, found) }] as const;
        }
        if (found.kind !== "service") return [found, answer] as const;
        return [found, { ...answer, fits: await fitsOf(platform, serviceReference(found)) }] as const;
      });
      createOutput(options.json === true).result(answer, () => formatDefinition(definition, answer));
    });
  return withStandardOptions(command);
}

/** What a service's transformations were fitted to, oldest first, without their parameters. */
async function fitsOf(platform: Platform, service: string): Promise<Answer[]> {
  const { fits } = await platform.request("GET", `/services/${encodeURIComponent(service)}/fits`);
  return (fits as Answer[]).map(({ parameters: _parameters, ...fit }) => fit);
}

/** By `name`, or by `name@version`; the newest version where none is given. */
function findDefinition(registry: Registry, name: string): Registered<Definition> {
  const all = registry.find({});
  const byName = all.filter(({ definition }) => definition.name === name || fullName(definition) === name);
  const service = serviceNamed(registry, name);
  const found = byName.find(({ definition }) => versionOf(definition) === null) ?? service ?? newest(byName);
  if (found !== undefined) return found;
  const code: ErrorCode = name.includes("@") ? "VIEW_UNKNOWN" : "DEFINITION_UNKNOWN";
  throw new OnefoldError(code, `nothing registered is called "${name}"`, {
    candidates: nearestNames(name, [...new Set(all.map(({ definition }) => definition.name))]),
  });
}

/** By its own rules of what a name means. */
function serviceNamed(registry: Registry, name: string): Registered<Definition> | undefined {
  const isService = registry.services().some(({ definition }) => definition.name === bareNameOf(name));
  return isService ? registry.service(name) : undefined;
}

function newest(versions: readonly Registered<Definition>[]): Registered<Definition> | undefined {
  return versions.toSorted((a, b) => compareVersions(numberOf(b), numberOf(a)))[0];
}

function numberOf({ definition }: Registered<Definition>): number | "dev" {
  return versionOf(definition) ?? "dev";
}

/** As the registry's routes find it, whatever an alias says. */
function fullName(definition: Definition): string {
  return definition.kind === "service" ? serviceReference(definition) : shownName(definition);
}

/** Everything the answer says: its plain members a line each, its lists as tables. */
function formatDefinition(definition: Definition, answer: Answer): string {
  const { kind: _kind, name: _name, version: _version, ...members } = answer;
  const lines = [`${definition.kind} ${shownName(definition)}`];
  const tables: string[] = [];
  for (const [member, value] of Object.entries(members)) {
    const label = member.replaceAll("_", " ");
    if (member === "constraints" && "constraints" in definition) {
      for (const { name, predicate } of definition.constraints)
        lines.push(`requires ${name}: ${expressionText(predicate)}`);
    } else if (isTable(value)) tables.push("", `${label}:`, tableOf(definition, member, value));
    else if (!isEmpty(value)) lines.push(`${label}: ${plainText(value)}`);
  }
  return [...lines, ...tables].join("\n");
}

function tableOf(definition: Definition, member: string, rows: readonly Answer[]): string {
  const shown = rows.map((row, i) => ({ ...row, ...asWritten(definition, member, i) }));
  // What a feature has from its view stands above.
  const names = [...new Set(shown.flatMap((row) => Object.keys(row)))].filter(
    (name) => (name !== "created_at" || member === "fits") && shown.some((row) => !isEmpty((row as Answer)[name])),
  );
  return formatTable(
    names.map((name) => name.replaceAll("_", " ")),
    shown.map((row) => names.map((name) => plainText((row as Answer)[name]))),
  );
}

/** Expressions as a person writes them, in place of their data. */
function asWritten(definition: Definition, member: string, index: number): Answer {
  if (member === "features" && definition.kind === "view") {
    return { aggregation: formatAggregation(definition.features[index]!.aggregation) };
  }
  if (member === "features" && definition.kind === "service") {
    const { view, version, feature } = definition.features[index]!;
    return { view: `${formatViewName({ name: view, version })}:${feature}`, version: null, feature: null };
  }
  if (member === "derived" && "derived" in definition) {
    return { expression: expressionText(definition.derived[index]!.expression) };
  }
  return {};
}

function isTable(value: unknown): value is readonly Answer[] {
  return Array.isArray(value) && value.length > 0 && typeof value[0] === "object" && value[0] !== null;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0);
}

function plainText(value: unknown): string {
  if (isEmpty(value)) return "-";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(plainText).join(", ");
  if (typeof value !== "object") return formatCell(value);
  return Object.entries(value as object)
    .map(([name, member]) => `${name} ${plainText(member)}`)
    .join("; ");
}
