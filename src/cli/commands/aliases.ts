/** `onefold promote`, `rollback` and `aliases`: which version a name alone means, moving that, and who did. */
import { Command, InvalidArgumentError, Option } from "commander";
import { bareNameOf } from "../../define/service-version.ts";
import type { Moved, MoveOptions, ShownAlias, ShownMove } from "../../platform/version-desk.ts";
import { byOption, kindOption } from "../change-options.ts";
import { createOutput } from "../output.ts";
import { parseCount } from "../option-values.ts";
import {
  accessToRegister,
  asOwner,
  type StandardOptions,
  withPlatform,
  withStandardOptions,
} from "../standard-options.ts";
import { formatTable } from "../table.ts";

const NONE = "none";

interface MoveCommandOptions extends StandardOptions {
  readonly as?: string;
  readonly from?: number | typeof NONE;
  readonly keep?: string;
  readonly by: string;
  readonly kind?: "view" | "service";
}

export function promoteCommand(): Command {
  const command = new Command("promote")
    .description("have a name mean another version of a service or of a view, from the next request on")
    .argument("<name@version>", "the version, as delay@2")
    .action(async (target: string, options: MoveCommandOptions) => {
      const asked = { target, options: moveOptions(options) };
      const result = await asOwner(
        options,
        accessToRegister(options, "own"),
        {},
        { work: "promote", asked },
        (platform) => platform.versions.promote(target, asked.options),
      );
      printMoved(result, options);
    });
  return withMoveOptions(command);
}

export function rollbackCommand(): Command {
  const command = new Command("rollback")
    .description("have a name mean again what it meant before it was moved last")
    .argument("<name>", "the service or the view, as delay")
    .action(async (name: string, options: MoveCommandOptions) => {
      const asked = { name, options: moveOptions(options) };
      const result = await asOwner(
        options,
        accessToRegister(options, "own"),
        {},
        { work: "rollback", asked },
        (platform) => platform.versions.rollback(name, asked.options),
      );
      printMoved(result, options);
    });
  return withMoveOptions(command);
}

export function aliasesCommand(): Command {
  const command = new Command("aliases")
    .description("list where aliases point; of one name, every move of them too")
    .argument("[name]", "a service or a view")
    .action(async (name: string | undefined, options: StandardOptions) => {
      const { shownAliases } = await import("../../platform/version-desk.ts");
      const bare = name === undefined ? undefined : bareNameOf(name);
      const shown = await withPlatform(options, "read", async ({ registry }) =>
        shownAliases(registry.aliasMoves(), bare),
      );
      createOutput(options.json === true).result(shown, () =>
        [formatAliases(shown.aliases), ...(bare === undefined ? [] : ["", formatMoves(shown.moves)])].join("\n"),
      );
    });
  return withStandardOptions(command);
}

function withMoveOptions(command: Command): Command {
  return withStandardOptions(
    command
      .addOption(new Option("--as <alias>", "the alias that is moved (default: prod, which a name alone means)"))
      .addOption(
        new Option(
          "--from <version>",
          "the version that it is to be moved from, or none; where it names another, nothing is moved",
        ).argParser(parseFrom),
      )
      .addOption(new Option("--keep <duration>", "for how long the version that it leaves is kept (default: 7d)"))
      .addOption(byOption())
      .addOption(kindOption()),
  );
}

/** Not null for none: where a parser gives null, commander takes the empty text. */
function parseFrom(text: string): number | typeof NONE {
  if (text === NONE) return NONE;
  try {
    return parseCount(text);
  } catch {
    throw new InvalidArgumentError('Give a version, or "none".');
  }
}

function moveOptions({ as, from, keep, by, kind }: MoveCommandOptions): MoveOptions {
  return {
    by,
    ...(as === undefined ? {} : { as }),
    ...(from === undefined ? {} : { from: from === NONE ? null : from }),
    ...(keep === undefined ? {} : { keep }),
    ...(kind === undefined ? {} : { kind }),
  };
}

function printMoved(result: Moved, options: StandardOptions): void {
  const { moved, alias } = result;
  createOutput(options.json === true).result(result, () => {
    const where = `${alias.name}@${alias.alias} ${moved ? "is" : "was already"} ${alias.name}@${alias.version}`;
    if (!moved || alias.former === null) return where;
    return `${where}; what it left is kept until ${alias.kept_until}`;
  });
}

function formatAliases(aliases: readonly ShownAlias[]): string {
  if (aliases.length === 0) return "no alias is set: a name alone means its highest version";
  return formatTable(
    ["alias", "kind", "version", "back to", "kept until", "by", "at"],
    aliases.map((one) => [
      `${one.name}@${one.alias}`,
      one.kind,
      String(one.version),
      one.former === null ? "-" : String(one.former),
      one.kept_until,
      one.by,
      one.at,
    ]),
  );
}

function formatMoves(moves: readonly ShownMove[]): string {
  return formatTable(
    ["moved", "alias", "from", "to", "keep", "by", "at"],
    moves.map((one) => [
      one.action,
      `${one.name}@${one.alias}`,
      one.from === null ? "-" : String(one.from),
      String(one.to),
      one.keep,
      one.by,
      one.at,
    ]),
  );
}
