/**
 * PostgreSQL as the registry needs it: queries, transactions, and being told of what others commit. The only file
 * that knows the driver, `pg`, which is loaded when it is first needed.
 *
 * No query waits for ever: a server that is silent is one that is not there. Nothing that is said here has a password in it.
 */
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ClientConfig, Pool } from "pg";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { RegistryNews } from "./registry-store.ts";

type Rows = readonly Readonly<Record<string, unknown>>[];
export type Query = (text: string, values?: readonly unknown[]) => Promise<Rows>;

const CONNECT_MS_MAX = 5000;
const QUERY_MS_MAX = 5000;
/** Another apply holds the lock for milliseconds; one whose process hangs loses it after this. */
const HANGING_MS_MAX = 3000;
/** Well above that, so that whoever waits for one that hangs gets it, on a busy machine too. */
const LOCK_MS_MAX = 4500;
const RECONNECT_MS = 1000;
const CLOSE_MS_MAX = 1000;
const CONNECTIONS_MAX = 2;

interface Driver {
  readonly Client: typeof Client;
  readonly Pool: typeof Pool;
}

export class PostgresClient {
  /** `postgres://host:port/database`, for messages. */
  readonly where: string;
  readonly #driver: Driver;
  readonly #config: ClientConfig;
  readonly #pool: Pool;
  readonly #sockets = new Set<Socket>();

  private constructor(driver: Driver, url: string, where: string) {
    this.where = where;
    this.#driver = driver;
    this.#config = {
      connectionString: url,
      application_name: "onefold",
      connectionTimeoutMillis: CONNECT_MS_MAX,
      query_timeout: QUERY_MS_MAX,
      keepAlive: true,
      stream: () => this.#newSocket(),
    };
    this.#pool = new driver.Pool({ ...this.#config, max: CONNECTIONS_MAX });
    // A connection that breaks while nobody uses it is replaced when somebody does.
    this.#pool.on("error", () => undefined);
  }

  /** Connects to nothing yet. Throws `REQUEST_INVALID` for what is no URL of PostgreSQL, `REGISTRY_UNREACHABLE` without the driver. */
  static async open(url: string): Promise<PostgresClient> {
    const where = placeOf(url);
    try {
      const { default: driver } = await import("pg");
      return new PostgresClient(driver, url, where);
    } catch (cause) {
      const isMissing = (cause as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
      if (!isMissing) throw invalidUrl();
      throw new OnefoldError("REGISTRY_UNREACHABLE", "the package pg, which talks to PostgreSQL, is not installed", {
        where,
        hint: "npm install pg",
      });
    }
  }

  /** One statement. Throws as `transaction`. */
  readonly query: Query = async (text, values = []) => {
    try {
      return (await this.#pool.query(text, [...values])).rows as Rows;
    } catch (error) {
      throw this.#explained(error);
    }
  };

  /**
   * All that `work` does, or nothing. Throws what `work` throws, `REGISTRY_UNREACHABLE`, `REGISTRY_DENIED`, and
   * `STORAGE_FAILED` for what PostgreSQL itself refuses. Where the connection breaks in the last moment, it is
   * unreachable too, and whether it was done shows when it is read.
   */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw this.#explained(error);
    });
    // It is told of by the query that it breaks.
    const ignore = (): void => undefined;
    client.on("error", ignore);
    let isBroken = true;
    try {
      await client.query("BEGIN");
      await client.query(`SET LOCAL lock_timeout = ${LOCK_MS_MAX}`);
      await client.query(`SET LOCAL idle_in_transaction_session_timeout = ${HANGING_MS_MAX}`);
      const result = await work(async (text, values = []) => (await client.query(text, [...values])).rows as Rows);
      await client.query("COMMIT");
      isBroken = false;
      return result;
    } catch (error) {
      // One that did not answer in time is at that query still.
      const answers = isOnefoldError(error) || isAnswer(error);
      isBroken = !(
        answers &&
        (await client.query("ROLLBACK").then(
          () => true,
          () => false,
        ))
      );
      throw isOnefoldError(error) ? error : this.#explained(error);
    } finally {
      client.off("error", ignore);
      client.release(isBroken);
    }
  }

  /** Calls back on each notice, and whenever it has connected anew: what was said before it was is lost. */
  listen(channel: string, onNotice: () => void): RegistryNews {
    const closing = new AbortController();
    let client: Client | null = null;
    const listening = (async () => {
      while (!closing.signal.aborted) {
        client = new this.#driver.Client({ ...this.#config });
        const gone = new Promise<void>((resolve) => client!.once("end", resolve).on("error", () => resolve()));
        client.on("notification", onNotice);
        try {
          await client.connect();
          await client.query(`LISTEN ${channel}`);
          onNotice();
          await Promise.race([gone, aborted(closing.signal)]);
        } catch {
          // Who asks for more than notices is told what is wrong.
        }
        client.removeAllListeners("notification");
        void client.end().catch(() => undefined);
        await sleep(RECONNECT_MS, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
      }
    })();
    return {
      close: async () => {
        closing.abort();
        await Promise.race([listening, sleep(CLOSE_MS_MAX, undefined, { ref: false })]);
      },
    };
  }

  async close(): Promise<void> {
    const ended = this.#pool.end().catch(() => undefined);
    await Promise.race([ended, sleep(CLOSE_MS_MAX, undefined, { ref: false })]);
    // One that does not answer does not say goodbye either.
    for (const socket of this.#sockets) socket.destroy();
  }

  #newSocket(): Socket {
    const socket = new Socket();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  #explained(error: unknown): OnefoldError {
    const { message, code = "" } = error as Error & { readonly code?: string };
    const details = { where: this.where, cause: error };
    // Class 28 is authorization; the driver itself says that there is no password.
    if (code.startsWith("28") || code === "42501" || message.includes("client password must be a string")) {
      return new OnefoldError("REGISTRY_DENIED", `the registry does not let this user in: ${message}`, {
        ...details,
        hint: "check user and password in the registry's URL, and what the user may do in the database",
      });
    }
    if (code === "3D000") {
      return new OnefoldError("REGISTRY_UNREACHABLE", `the registry cannot be reached: ${message}`, {
        ...details,
        hint: "create the database; its tables are made by the first apply",
      });
    }
    if (code === "55P03") {
      return new OnefoldError("REGISTRY_UNREACHABLE", "another apply holds the registry for too long", {
        ...details,
        hint: "try again in a moment",
      });
    }
    // Shut down, starting up, out of connections, or no answer of PostgreSQL's at all.
    const isAway = !isAnswer(error) || /^(?:08|57P|53300|25P03)/.test(code);
    if (isAway) {
      return new OnefoldError("REGISTRY_UNREACHABLE", `the registry cannot be reached: ${message || code}`, {
        ...details,
        hint: "check the address, and that PostgreSQL runs there",
      });
    }
    return new OnefoldError("STORAGE_FAILED", `the registry's database refuses: ${message}`, details);
  }
}

/** Of PostgreSQL itself, not of the way to it. */
function isAnswer(error: unknown): boolean {
  return "severity" in (error as Error);
}

/** Of a table or a schema that is not there. */
export function isAbsent(error: unknown): boolean {
  const { cause } = error as OnefoldError;
  return (cause as { readonly code?: string } | undefined)?.code === "42P01";
}

function placeOf(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalidUrl();
  }
  // What follows an unescaped / or @ of a password would be taken for something else, and shown.
  const isOdd = !["postgres:", "postgresql:"].includes(url.protocol) || /[@:]/.test(url.pathname);
  if (isOdd) throw invalidUrl();
  return `postgres://${url.host}${url.pathname}`;
}

function invalidUrl(): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", "a registry is named by a URL of PostgreSQL", {
    hint: "write postgres://user:password@host:5432/database, with %40 for @ and %2F for / in a password",
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A query for lines that depends on which columns there are: those of the answer to `columnsSql`. */
export interface LineQuery {
  readonly columnsSql: string;
  rowsSql(columns: readonly string[]): string;
}

/**
 * The rows of one query that gives `line` and `mark`, both text, some thousand at a time, by a connection of its own that
 * reads one moment and writes nothing. It may take as long as it takes. Throws what the driver does, without the password, and
 * what `rowsSql` does.
 */
export async function* readPostgresLines(
  url: string,
  query: LineQuery,
  signal?: AbortSignal,
): AsyncIterableIterator<readonly { readonly line: string; readonly mark: string | null }[]> {
  const { default: driver } = await import("pg");
  const client = new driver.Client({
    connectionString: url,
    application_name: "onefold",
    connectionTimeoutMillis: CONNECT_MS_MAX,
    keepAlive: true,
  });
  const stop = (): void => void client.end().catch(() => undefined);
  // It is told of by the query that it breaks.
  client.on("error", () => undefined);
  await client.connect();
  signal?.addEventListener("abort", stop);
  try {
    signal?.throwIfAborted();
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await client.query("SET LOCAL TimeZone = 'UTC'");
    const { fields } = await client.query(query.columnsSql);
    const sql = query.rowsSql(fields.map(({ name }) => name));
    await client.query(`DECLARE rows NO SCROLL CURSOR FOR ${sql}`);
    for (;;) {
      const { rows } = await client.query<{ line: string; mark: string | null }>(`FETCH ${ROWS_PER_FETCH} FROM rows`);
      if (rows.length === 0) return;
      yield rows;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    await client.end().catch(() => undefined);
  }
}

const ROWS_PER_FETCH = 5000;
