/**
 * Commands about the server: what clients and `redis-benchmark` ask before they begin.
 */
import type { Call, Command, Door } from "./command.ts";
import { CommandError } from "./error-reply.ts";
import { mapReply, type Reply } from "./reply-writer.ts";

export const serverCommands: readonly Command[] = [
  {
    name: "command",
    arity: -1,
    syntax: "[COUNT | DOCS [name ...] | INFO [name ...] | LIST]",
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
    syntax: "GET pattern [pattern ...]",
    summary: "Settings under the names that Redis has for them",
    run: (args, { door, out }) => {
      if (args[1]!.toUpperCase() !== "GET") {
        throw new CommandError("ERR", `unknown subcommand '${args[1]!.slice(0, 128)}'. Try CONFIG HELP.`);
      }
      if (args.length < 3) throw new CommandError("ERR", "wrong number of arguments for 'config|get' command");
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
      throw new CommandError("ERR", `unknown subcommand '${args[1]!.slice(0, 128)}'. Try COMMAND HELP.`);
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
