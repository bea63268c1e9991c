/**
 * The desk of a running server: by it, commands of the same machine ask the process that owns a data folder to do what
 * only the owner can: register definitions, compute a view anew.
 *
 * A socket file that its user alone may open, with HTTP on it: each request is answered by lines of JSON, progress first
 * and the result or the error last. The caller's going away cancels what it asked for, unless it cannot be.
 */
import { once } from "node:events";
import { lstatSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import { userInfo } from "node:os";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { OnefoldError } from "../base/errors.ts";
import { errorFromWire, errorToWire, type WireError } from "../base/wire-error.ts";
import { deskFolder, deskPath } from "./desk-path.ts";
import type { OnProgress } from "./progress.ts";

/** One kind of work that is asked for; `asked` is what the caller sent, plain data. */
export type DeskWork = (asked: never, onProgress: OnProgress, signal: AbortSignal) => Promise<unknown>;

export interface OwnerDesk {
  close(): Promise<void>;
}

type Line =
  | { readonly progress: Parameters<OnProgress>[0] }
  | { readonly done: unknown }
  | { readonly error: WireError };

const BODY_BYTES_MAX = 1024 * 1024;
/** Progress more often than this is not passed on. */
const PROGRESS_EVERY_MS = 100;

/** Whether the folder is there, and nobody else's: the system's temporary folder is everybody's. */
function isOwnFolder(): boolean {
  const found = lstatSync(deskFolder(), { throwIfNoEntry: false });
  return found !== undefined && found.isDirectory() && found.uid === userInfo().uid && (found.mode & 0o077) === 0;
}

/** Opens it. Only the owner of the folder may: what an owner that is gone has left is taken away. */
export async function openOwnerDesk(dataDir: string, works: Readonly<Record<string, DeskWork>>): Promise<OwnerDesk> {
  const path = deskPath(dataDir);
  if (process.platform !== "win32") {
    mkdirSync(deskFolder(), { recursive: true, mode: 0o700 });
    if (!isOwnFolder()) {
      throw new OnefoldError("STORAGE_FAILED", `${deskFolder()} is not a folder of this user alone`, {
        where: deskFolder(),
        hint: "remove it, or set TMPDIR to another folder",
      });
    }
    rmSync(path, { force: true });
  }
  const server = createServer((request, response) => void answer(request, response, works));
  // From the first moment on it is this user's alone.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, "listening");
  server.unref();
  return {
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (process.platform !== "win32") rmSync(path, { force: true });
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  works: Readonly<Record<string, DeskWork>>,
): Promise<void> {
  const leaving = new AbortController();
  response.on("close", () => leaving.abort());
  const say = (line: Line): void => void response.write(`${JSON.stringify(line)}\n`);
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
  try {
    const work = works[request.url!.slice(1)];
    if (work === undefined) throw new OnefoldError("REQUEST_INVALID", `the server knows no ${request.url}`);
    if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX) {
      throw new OnefoldError("REQUEST_INVALID", "too much was asked at once");
    }
    let saidMs = 0;
    const done = await work(
      JSON.parse(await text(request)) as never,
      (progress) => {
        const now = performance.now();
        if (now - saidMs < PROGRESS_EVERY_MS) return;
        saidMs = now;
        say({ progress });
      },
      leaving.signal,
    );
    say({ done: done ?? null });
  } catch (thrown) {
    say({ error: errorToWire(thrown) });
  }
  response.end();
}

/**
 * Asks the owner of a data folder. Null where it has no desk: it is no server, or one of another user. Throws what the
 * owner throws, `CANCELLED`, and `NOT_READY` where it ends in between.
 */
export async function askOwner<T>(
  dataDir: string,
  work: string,
  asked: object,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<{ readonly done: T } | null> {
  if (process.platform !== "win32" && !isOwnFolder()) return null;
  const body = JSON.stringify(asked);
  const call = httpRequest({
    socketPath: deskPath(dataDir),
    method: "POST",
    path: `/${work}`,
    headers: { "content-length": Buffer.byteLength(body) },
    ...(signal === undefined ? {} : { signal }),
  });
  call.end(body);
  call.on("error", () => {});
  try {
    const [response] = (await once(call, "response")) as [IncomingMessage];
    for await (const line of createInterface({ input: response })) {
      const said = JSON.parse(line) as Line;
      if ("progress" in said) onProgress(said.progress);
      else if ("done" in said) return { done: said.done as T };
      else throw errorFromWire(said.error);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (signal?.aborted !== true) {
      if (code === "ENOENT" || code === "ECONNREFUSED" || code === "EACCES") return null;
      if (code !== "ECONNRESET") throw error;
    }
  }
  throw signal?.aborted === true ? new OnefoldError("CANCELLED", `${work} was cancelled`) : ended(dataDir);
}

function ended(dataDir: string): OnefoldError {
  return new OnefoldError("NOT_READY", "the server ended before it had answered", {
    where: dataDir,
    hint: "start it again: what was registered is registered, and what was being built goes on",
  });
}
