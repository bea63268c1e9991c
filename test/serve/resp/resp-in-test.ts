/**
 * A RESP door over a `World` on a real port for each test of a file, and bare connections to it.
 */
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach } from "vitest";
import type { Definition } from "../../../src/define/definition.ts";
import { createFeatureReader, type FeatureReader } from "../../../src/serve/feature-reader.ts";
import { openRespServer, type RespOptions, type RespServer } from "../../../src/serve/resp/server.ts";
import { createWorld, type World } from "../served-world.ts";

export interface RespInTest {
  readonly world: World;
  readonly reader: FeatureReader;
  readonly door: RespServer;
  /** What the door reported as its own fault. */
  readonly failures: readonly { readonly error: unknown; readonly command: string }[];
}

/** To be called once, at the top of a test file. */
export function useRespDoor(options: RespOptions = {}, definitions?: readonly Definition[]): RespInTest {
  const present = { world: null, reader: null, door: null, failures: [] } as unknown as {
    -readonly [K in keyof RespInTest]: RespInTest[K] extends readonly (infer E)[] ? E[] : RespInTest[K];
  };
  beforeEach(async () => {
    present.world = await createWorld(definitions);
    present.reader = createFeatureReader(present.world);
    present.failures = [];
    present.door = await openRespServer(present.reader, present.world, "1.2.3", {
      port: 0,
      onError: (error, command) => present.failures.push({ error, command }),
      ...options,
    });
  });
  afterEach(() => present.door.close());
  return present;
}

const TAIL_LENGTH = 200;

/** A bare connection: what is sent goes out as it is, what comes back is kept as bytes. */
export class BareClient {
  readonly socket: Socket;
  /** All that was received, as a byte string. */
  received = "";
  isClosed = false;
  /** The end of it, which is cheap to look at however long it is. */
  #tail = "";
  #wake: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      this.received += text;
      this.#tail = (this.#tail + text).slice(-TAIL_LENGTH);
      this.#wake?.();
    });
    // Being cut off is what some tests are about; `close` follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake?.();
    });
  }

  static open(port: number): Promise<BareClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new BareClient(socket));
      });
    });
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Sends a command as clients do. */
  call(...args: readonly string[]): void {
    this.send(encodeCommand(args));
  }

  /** Waits until what was received ends like this (in up to 200 bytes), or matches it; then it is returned, and forgotten. */
  async until(end: string | RegExp): Promise<string> {
    const isThere = (): boolean => (typeof end === "string" ? this.#tail.endsWith(end) : end.test(this.received));
    while (!isThere()) {
      if (this.isClosed) throw new Error(`closed after ${JSON.stringify(this.received.slice(-500))}`);
      await this.#next();
    }
    const received = this.received;
    this.received = "";
    this.#tail = "";
    return received;
  }

  /** All that comes until the other side ends the connection. */
  async untilClosed(): Promise<string> {
    while (!this.isClosed) await this.#next();
    return this.received;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** A command as an array of bulk strings; text as UTF-8. */
export function encodeCommand(args: readonly string[]): string {
  const bulks = args.map((arg) => {
    const bytes = Buffer.from(arg).toString("latin1");
    return `$${bytes.length}\r\n${bytes}\r\n`;
  });
  return `*${args.length}\r\n${bulks.join("")}`;
}
