/**
 * Commands about the server: what clients and `redis-benchmark` ask before they begin.
 */
import type { Call, Command, Door } from "./command.ts";
import { unknownSubcommand } from "./connection-commands.ts";
import { wrongArity } from "./wrong-usage.ts";
import { mapReply, type Reply } from "./reply-writer.ts";

const COMMAND_SYNTAX: readonly string[] = ["COUNT", "DOCS [name ...]", "INFO [name ...]", "LIST"];
const CONFIG_SYNTAX: readonly string[] = ["GET pattern [pattern ...]"];

export const serverCommands: readonly Command[] = [
  {
    name: "command",
    arity: -1,
    syntax: `[${COMMAND_SYNTAX.join(" | ")}]`,
    summary: "The commands there are",
    run: command,
  },
  {
    name: "info",
    arity: -1,
    syntax: "[section ...]",
    summary: "The server's state as text; loading is 1 until everything is folded up to the end of the log",
    run: (_args, { door, out }) => out.text(infoText(door)),
  },
  {
    name: "config",
    arity: -2,
    syntax: CONFIG_SYNTAX.join(" | "),
    summary: "Settings under the names that Redis has for them",
    run: (args, { door, out }) => {
      if (args[1]!.toUpperCase() !== "GET") throw unknownSubcommand("config", args[1]!, CONFIG_SYNTAX);
      if (args.length < 3) throw wrongArity("config|get", "pattern [pattern ...]");
      const patterns = args.slice(2).map(globPattern);
      out.reply(new Map(settings(door).filter(([name]) => patterns.some((pattern) => pattern.test(name)))));
    },
  },
];

/** `save` and `appendonly` are what Redis would call how durable a write is; nothing is written here as Redis writes. */
function settings(door: Door): [string, string][] {
  return [
    ["appendonly", "no"],
    ["maxclients", String(door.connectionsMax)],
    ["save", ""],
  ];
}

/** Of globs only `*` and `?` are known: the names have nothing else to tell apart. */
function globPattern(glob: string): RegExp {
  const source = glob.slice(0, 64).replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${source.replaceAll(/\*+/g, ".*").replaceAll("?", ".")}$`, "i");
}

function infoText(door: Door): string {
  const { ready } = door.ports.readiness();
  return [
    "# Server",
    // What clients judge their server's abilities by; the commands of this door are all older.
    "redis_version:7.0.0",
    "redis_mode:standalone",
    `onefold_version:${door.version}`,
    "",
    "# Clients",
    `connected_clients:${door.connectionCount()}`,
    `maxclients:${door.connectionsMax}`,
    "",
    "# Persistence",
    `loading:${ready ? 0 : 1}`,
    "",
    "# Replication",
    "role:master",
    "",
  ].join("\r\n");
}

function command(args: readonly string[], { door, out }: Call): void {
  const { commands } = door;
  const subcommand = args[1]?.toUpperCase();
  const names = args.length > 2 ? args.slice(2).map((name) => name.toLowerCase()) : [...commands.keys()];
  switch (subcommand) {
    case undefined:
      return out.reply([...commands.values()].map(commandInfo));
    case "COUNT":
      return out.reply(commands.size);
    case "LIST":
      return out.reply([...commands.keys()]);
    case "INFO":
      return out.reply(names.map((name) => (commands.has(name) ? commandInfo(commands.get(name)!) : null)));
    case "DOCS":
      return out.reply(new Map(names.flatMap((name) => commandDocs(commands.get(name)))));
    default:
      throw unknownSubcommand("command", args[1]!, COMMAND_SYNTAX);
  }
}

/** Name, arity, flags, first and last key, step: no argument is a key of a keyspace, so a cluster client routes none. */
function commandInfo({ name, arity, isOpen, begin }: Command): Reply {
  const flags = [begin === undefined ? "readonly" : "write", "fast", ...(isOpen === true ? ["no_auth"] : [])];
  return [name, arity, flags, 0, 0, 0, [], [], [], []];
}

function commandDocs(command: Command | undefined): [string, Reply][] {
  if (command === undefined) return [];
  const { name, summary, syntax } = command;
  return [[name, mapReply({ summary, group: name.startsWith("f") ? "features" : "server", syntax })]];
}
