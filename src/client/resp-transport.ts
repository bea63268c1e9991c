/**
 * The transport over RESP: `FVECTORS` and `FEVENTS` (docs/resp.md), which carry the JSON that HTTP's bodies are.
 * Calls need not wait for each other's answers on the way, so one connection carries all questions; another
 * carries pushes, behind which a question on the same connection would wait.
 */
import { OnefoldError } from "../base/errors.ts";
import { jsonText, otherServer, parseObject, questionOf, serverError } from "./json-body.ts";
import { RESP_START, type RespAddress, RespConnection, shownAddress } from "./resp-connection.ts";
import { type Answered, type Asked, type AskOptions, isPassing, type PushAnswer, type Transport } from "./transport.ts";

export interface RespTransportOptions {
  /** `redis://[:password@]host[:port]`, or `rediss://` where something in front of the door speaks TLS. */
  readonly url: string;
  /** Named by `CLIENT SETNAME`. */
  readonly consumer?: string;
}

const PORT = 6380;

export class RespTransport implements Transport {
  readonly #questions: Lane;
  readonly #pushes: Lane;
  /** The address without the password. */
  readonly #shown: string;

  /** Throws `REQUEST_INVALID` for an address that is none. Nothing is connected before the first call. */
  constructor({ url, consumer }: RespTransportOptions) {
    const address = { ...addressOf(url), consumer: consumer ?? null };
    this.#questions = new Lane(address);
    this.#pushes = new Lane(address);
    this.#shown = shownAddress(address);
  }

  async vectors(
    service: string,
    asked: readonly Asked[],
    options: AskOptions,
    signal: AbortSignal,
  ): Promise<(Answered | OnefoldError)[]> {
    const questions = asked.map((one) => jsonText(questionOf(one, options)));
    const replies = await this.#questions.call("FVECTORS", [service, ...questions], signal);
    if (!Array.isArray(replies) || replies.length !== asked.length) throw this.#noAnswer("FVECTORS");
    const answers = replies.map((reply) => answerOf<Answered>(reply, "features") ?? this.#noAnswer("FVECTORS"));
    // It is the server that is not ready, whichever vector says so: all are asked again.
    const passing = answers.find((answer) => answer instanceof OnefoldError && isPassing(answer));
    if (passing !== undefined) throw passing;
    return answers;
  }

  async push(source: string, rows: readonly unknown[], signal: AbortSignal): Promise<PushAnswer> {
    const reply = await this.#pushes.call("FEVENTS", [source, jsonText(rows)], signal);
    const answer = answerOf<PushAnswer>(reply, "outcomes") ?? this.#noAnswer("FEVENTS");
    if (answer instanceof OnefoldError) throw answer;
    return answer;
  }

  #noAnswer(command: string): OnefoldError {
    return otherServer(this.#shown, `no answer to ${command}`, RESP_START);
  }

  async close(): Promise<void> {
    this.#questions.close();
    this.#pushes.close();
  }
}

/** One connection at a time for new calls: opened by the first, and again by the next call after it broke. */
class Lane {
  readonly #address: RespAddress;
  readonly #open = new Set<RespConnection>();
  #current: RespConnection | null = null;

  constructor(address: RespAddress) {
    this.#address = address;
  }

  call(command: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    return this.#connection().call(command, args, signal);
  }

  close(): void {
    for (const connection of this.#open) connection.close();
  }

  #connection(): RespConnection {
    if (this.#current !== null) return this.#current;
    const connection: RespConnection = new RespConnection(this.#address, {
      onRetire: () => {
        if (this.#current === connection) this.#current = null;
      },
      onEnd: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
    return (this.#current = connection);
  }
}

/** The answer, known by a member that it has, or the error that came in its place; null for neither. */
function answerOf<A>(reply: unknown, member: string): A | OnefoldError | null {
  const answer = typeof reply === "string" ? parseObject(reply) : null;
  if (answer !== null && member in answer) return answer as A;
  return serverError(answer?.["error"], "INTERNAL");
}

function addressOf(url: string): Omit<RespAddress, "consumer"> {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || parsed.hostname === "" || !["", "/", "/0"].includes(parsed.pathname)) {
    throw noAddress();
  }
  const { protocol, hostname, port, username, password } = parsed;
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? PORT : Number(port),
    isSecure: protocol === "rediss:",
    username: decodePart(username),
    password: decodePart(password),
  };
}

/** Null for what is not given. */
function decodePart(text: string): string | null {
  if (text === "") return null;
  try {
    return decodeURIComponent(text);
  } catch {
    throw noAddress();
  }
}

/** Without the address: it may hold a password. */
function noAddress(): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", "url is not the address of a RESP door", {
    where: "url",
    hint: "give redis://[:password@]host:port, with what is special in a password as %XX; there is one database, 0",
  });
}
