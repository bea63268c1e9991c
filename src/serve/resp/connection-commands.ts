/**
 * Commands about the connection itself, as clients send them when they connect.
 */
import type { Call, Command, Session } from "./command.ts";
import { CommandError } from "./error-reply.ts";
import { mapReply } from "./reply-writer.ts";
import { wrongArity, wrongSyntax } from "./wrong-usage.ts";

const AUTH_SYNTAX = "[username] password";
/** The one user there is. */
const USER = "default";
/** Subcommands by name, with what stands behind each. */
const CLIENT: ReadonlyMap<string, string> = new Map([
  ["GETNAME", ""],
  ["ID", ""],
  ["SETINFO", "attribute value"],
  ["SETNAME", "name"],
]);
const CLIENT_SYNTAX: readonly string[] = Array.from(CLIENT, ([name, behind]) => `${name} ${behind}`.trim());

export const connectionCommands: readonly Command[] = [
  {
    name: "ping",
    arity: -1,
    syntax: "[message]",
    summary: "PONG, or the message",
    run: (args, { out }) => {
      if (args.length > 2) throw wrongArity("ping", "[message]");
      if (args.length === 1) out.status("PONG");
      else out.bulk(args[1]!);
    },
  },
  {
    name: "echo",
    arity: 2,
    syntax: "message",
    summary: "The message",
    run: (args, { out }) => out.bulk(args[1]!),
  },
  {
    name: "quit",
    arity: -1,
    syntax: "",
    summary: "Ends the connection",
    isOpen: true,
    run: (_args, { out, session }) => {
      out.status("OK");
      session.isEnding = true;
    },
  },
  {
    name: "auth",
    arity: -2,
    syntax: AUTH_SYNTAX,
    summary: "Gives the password; the username is default",
    isOpen: true,
    run: (args, call) => {
      if (args.length > 3) throw wrongSyntax("auth", AUTH_SYNTAX);
      if (call.door.password === null && args.length === 2) {
        throw new CommandError(
          "ERR",
          "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        );
      }
      authenticate(args.length === 3 ? args[1]! : USER, args.at(-1)!, call);
      call.out.status("OK");
    },
  },
  {
    name: "hello",
    arity: -1,
    syntax: "[2 | 3 [AUTH username password] [SETNAME name]]",
    summary: "Chooses the protocol, and tells about the server",
    isOpen: true,
    run: hello,
  },
  {
    name: "reset",
    arity: 1,
    syntax: "",
    summary: "The connection as it was when it was opened",
    isOpen: true,
    run: (_args, { door, session, out }) => {
      session.isAuthenticated = door.password === null;
      session.name = "";
      out.protocol = 2;
      out.status("RESET");
    },
  },
  {
    name: "select",
    arity: 2,
    syntax: "0",
    summary: "There is one database, 0",
    run: (args, { out }) => {
      if (!/^-?\d+$/.test(args[1]!)) throw new CommandError("ERR", "value is not an integer or out of range");
      if (Number(args[1]) !== 0) throw new CommandError("ERR", "DB index is out of range");
      out.status("OK");
    },
  },
  {
    name: "client",
    arity: -2,
    syntax: CLIENT_SYNTAX.join(" | "),
    summary: "What the connection says of itself",
    run: client,
  },
];

/** `known` are those there are, with what stands behind each. */
export function unknownSubcommand(command: string, given: string, known: readonly string[]): CommandError {
  const written = known.map((one) => `${command.toUpperCase()} ${one}`);
  return new CommandError("ERR", `unknown subcommand '${given.slice(0, 128)}'; write ${written.join(", ")}`);
}

/** Throws `WRONGPASS`. Without a password configured, any will do for the one user, as with Redis. */
function authenticate(user: string, password: string, { door, session }: Call): void {
  const matches = door.password === null || door.password.matches(password);
  if (user !== USER || !matches) {
    throw new CommandError("WRONGPASS", "invalid username-password pair or user is disabled.");
  }
  session.isAuthenticated = true;
}

function hello(args: readonly string[], call: Call): void {
  const { door, session, out } = call;
  const version = args[1];
  if (version !== undefined && !/^\d+$/.test(version)) {
    throw new CommandError("ERR", "Protocol version is not an integer or out of range");
  }
  if (version !== undefined && version !== "2" && version !== "3") {
    throw new CommandError("NOPROTO", "unsupported protocol version");
  }
  let name: string | undefined;
  let given: readonly [user: string, password: string] | undefined;
  for (let at = 2; at < args.length;) {
    const option = args[at]!.toUpperCase();
    if (option === "AUTH" && at + 2 < args.length) {
      given = [args[at + 1]!, args[at + 2]!];
      at += 3;
    } else if (option === "SETNAME" && at + 1 < args.length) {
      name = checkedName(args[at + 1]!);
      at += 2;
    } else throw new CommandError("ERR", `Syntax error in HELLO option '${args[at]!}'`);
  }
  // Once nothing else is wrong: a call that fails has changed nothing.
  if (given !== undefined) authenticate(...given, call);
  if (!session.isAuthenticated) {
    throw new CommandError(
      "NOAUTH",
      "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    );
  }
  if (name !== undefined) session.name = name;
  if (version !== undefined) out.protocol = version === "3" ? 3 : 2;
  out.reply(
    mapReply({
      server: "onefold",
      version: door.version,
      proto: out.protocol,
      id: session.id,
      mode: "standalone",
      role: "master",
      modules: [],
    }),
  );
}

function client(args: readonly string[], { session, out }: Call): void {
  const [, subcommand = "", value = "", ...rest] = args;
  const name = subcommand.toUpperCase();
  if (name === "GETNAME" && args.length === 2) {
    if (session.name === "") out.reply(null);
    else out.bulk(session.name);
  } else if (name === "ID" && args.length === 2) out.reply(session.id);
  else if (name === "SETNAME" && args.length === 3) setName(session, value, out.status.bind(out));
  else if (name === "SETINFO" && rest.length === 1) {
    if (!["LIB-NAME", "LIB-VER"].includes(value.toUpperCase())) {
      throw new CommandError("ERR", `Unrecognized option '${value}'`);
    }
    checkedName(rest[0]!);
    out.status("OK");
  } else if (CLIENT.has(name)) throw wrongArity(`client|${name.toLowerCase()}`, CLIENT.get(name)!);
  else throw unknownSubcommand("client", subcommand, CLIENT_SYNTAX);
}

function setName(session: Session, name: string, reply: (line: string) => void): void {
  session.name = checkedName(name);
  reply("OK");
}

function checkedName(name: string): string {
  if (/^[!-~]*$/.test(name) && name.length <= 1024) return name;
  throw new CommandError("ERR", "Client names cannot contain spaces, newlines or special characters.");
}
