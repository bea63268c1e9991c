/**
 * The same world behind two servers, one with the fast door and one without, and what each answers to the
 * same bytes.
 */
import { connect, type Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { createFeatureReader } from "../../../src/serve/feature-reader.ts";
import { type HttpOptions, type HttpServer, openHttpServer } from "../../../src/serve/http.ts";
import { createWorld, type World } from "../served-world.ts";

export interface Door {
  readonly world: World;
  readonly server: HttpServer;
  readonly failures: unknown[];
}

export interface TwoDoors {
  readonly fast: Door;
  readonly ordinary: Door;
  close(): Promise<void>;
}

export async function openTwoDoors(options: HttpOptions = {}): Promise<TwoDoors> {
  const open = async (hotPath: boolean): Promise<Door> => {
    const world = await createWorld();
    for (let i = 0; i < 40; i++) world.arrive({ origin: `A${i % 7}`, destination: "Zürich", delay: i });
    const failures: unknown[] = [];
    const onError = (error: unknown): void => void failures.push(error);
    const server = await openHttpServer(createFeatureReader(world), world, { port: 0, hotPath, onError, ...options });
    return { world, server, failures };
  };
  const [fast, ordinary] = [await open(true), await open(false)];
  return {
    fast,
    ordinary,
    close: async () => void (await Promise.all([fast.server.close(), ordinary.server.close()])),
  };
}

/** Silence for so long, on a machine however busy, is all that there is. */
const PATIENCE_MILLIS = 6000;

/** What a connection does: sends bytes, part by part. */
export type Parts = readonly Buffer[];

/** What came back, as comparable text: a line for each answer, and whether the server ended the connection itself. */
export interface Received {
  readonly answers: readonly string[];
  readonly closedByServer: boolean;
}

/** What is wrong with the fast door's answers, or null. */
export function differenceOf(fast: Received, ordinary: Received): string | null {
  if (JSON.stringify(fast) === JSON.stringify(ordinary)) return null;
  return `fast ${JSON.stringify(fast, null, 1)}\nordinary ${JSON.stringify(ordinary, null, 1)}`;
}

/**
 * Sends the parts, waits until both servers say nothing more for so long, then hangs up and takes what still
 * comes. A difference may be no more than a slow machine, so it is looked at again with more patience.
 */
/** `pauseMillis`: between the parts. */
export async function answersOfBoth(
  doors: TwoDoors,
  parts: Parts,
  pauseMillis = 0,
): Promise<{ fast: Received; ordinary: Received }> {
  for (const quietMillis of [30, 200, 1500, PATIENCE_MILLIS]) {
    const [fast, ordinary] = await exchange(
      [doors.fast.server.port, doors.ordinary.server.port],
      parts,
      quietMillis,
      pauseMillis,
    );
    const both = { fast: fast!, ordinary: ordinary! };
    if (differenceOf(both.fast, both.ordinary) === null || quietMillis === PATIENCE_MILLIS) return both;
  }
  throw new Error("the last patience always returns");
}

async function exchange(
  ports: readonly number[],
  parts: Parts,
  quietMillis: number,
  pauseMillis: number,
): Promise<Received[]> {
  let lastMs = performance.now();
  const endedHere = new Set<Socket>();
  const clients = ports.map((port) => {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    const client = { socket, received: [] as Buffer[], closed: false, closedByServer: false };
    socket.on("data", (chunk: Buffer) => {
      client.received.push(chunk);
      lastMs = performance.now();
    });
    // A reset comes without an end, and closes the socket before this side has ended it.
    let isOver = false;
    const onOver = (): void => {
      if (!isOver) client.closedByServer = !endedHere.has(socket);
      isOver = true;
    };
    socket.on("end", onOver).on("error", onOver).on("close", onOver);
    socket.on("close", () => (client.closed = true));
    return client;
  });
  for (const part of parts) {
    for (const { socket } of clients) if (socket.writable) socket.write(part);
    // The servers are in this process: a turn or two, and they have read it.
    if (parts.length > 1) await (pauseMillis > 0 ? sleep(pauseMillis) : setImmediate());
  }
  lastMs = performance.now();
  while (performance.now() - lastMs < quietMillis && !clients.every(({ closed }) => closed)) await sleep(5);
  for (const { socket } of clients) {
    endedHere.add(socket);
    socket.end();
  }
  const endMs = performance.now();
  while (!clients.every(({ closed }) => closed) && performance.now() - endMs < 30_000) await sleep(2);
  for (const { socket } of clients) socket.destroy();
  return clients.map(({ received, closedByServer, closed }) => ({
    answers: [...splitAnswers(Buffer.concat(received)), ...(closed ? [] : ["the server does not hang up"])],
    closedByServer,
  }));
}

/** Answers one by one, without what differs from one moment to the next; lengths are checked here. */
export function splitAnswers(bytes: Buffer): string[] {
  const answers: string[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd < 0) return [...answers, `half a head: ${rest.toString("latin1")}`];
    const head = rest.toString("latin1", 0, headEnd);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    // Only node:http's own refusals come in chunks, and have none.
    const lastChunk = /\r\ntransfer-encoding: chunked/i.test(head) ? "0\r\n\r\n".length : 0;
    if (lastChunk > 0) {
      answers.push(`${comparableHead(head)}\n`);
      rest = rest.subarray(headEnd + 4 + lastChunk);
      continue;
    }
    const bodyEnd = headEnd + 4 + length;
    // The answer to a HEAD request says a length and has no body: the next answer follows, or nothing does.
    const hasBody =
      length > 0 && rest.length > headEnd + 4 && rest.toString("latin1", headEnd + 4, headEnd + 9) !== "HTTP/";
    if (hasBody && bodyEnd > rest.length) return [...answers, `half a body: ${rest.toString("utf8")}`];
    const end = hasBody ? bodyEnd : headEnd + 4;
    answers.push(`${comparableHead(head)}\n${comparableBody(rest.toString("utf8", headEnd + 4, end))}`);
    rest = rest.subarray(end);
  }
  return answers;
}

function comparableHead(head: string): string {
  const [status, ...lines] = head.split("\r\n");
  const headers = lines
    .map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase()))
    .map((line) => line.replace(/^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/, "date: now"))
    .map((line) => line.replace(/^content-length: \d+$/, "content-length: of the body"));
  return [status, ...headers.toSorted()].join("\n");
}

function comparableBody(body: string): string {
  return body.replace(/"latency_ms":\d+(?:\.\d+)?(?:e-\d+)?/g, '"latency_ms":0');
}
