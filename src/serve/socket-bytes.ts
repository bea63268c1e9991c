/**
 * What a connection receives and sends, with as little in between as can be: bytes are received into one block that all
 * connections share, and sent by one call of the system.
 *
 * As a stream, a socket of Node allocates 64 KiB for each chunk that comes, shrinks that to what came, wraps it for the
 * garbage collector and passes it through a queue; for each write an object is made, and another queue gone through. For
 * short requests that is more than all else they take. Node can do without: a socket that connects may be given a block to
 * receive into (`onread` of `net.connect`). Servers do not offer that for those that they accept, but its parts stand on every
 * socket, and are put to use here. Where a version of Node has them not, or elsewhere, the socket is read and written as
 * the stream that it is: nothing differs but the time it takes.
 */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import type { ByteSink } from "./answer-bytes.ts";

/** Told of `bytes[0, length)`, which are good for the call alone. */
export type TakeBytes = (bytes: Buffer, length: number) => void;

/** As much as Node reads at a time. */
const BLOCK_BYTES = 64 * 1024;
const block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
const blockWords = new Int32Array(block.buffer, block.byteOffset, BLOCK_BYTES / 4);

/** By four, where the bytes are those that connections are received into; else null. */
export function receivedWords(bytes: Uint8Array): Int32Array | null {
  return bytes === block ? blockWords : null;
}

/** What Node has on a socket by symbols of its own. */
interface ReadingParts {
  readonly buffer: symbol;
  readonly callback: symbol;
}

/** What Node has behind a socket that is open. */
interface SocketHandle {
  readonly fd?: number;
  useUserBuffer?(bytes: Uint8Array): void;
}

/** Where the parts are; undefined until a socket was looked at. */
let parts: ReadingParts | null | undefined;

export class SocketBytes implements ByteSink {
  readonly socket: Socket;
  readonly #take: TakeBytes;
  readonly #handle: SocketHandle | null;
  /** -1 where it is not known, or what is sent is not what goes over the wire. */
  readonly #descriptor: number;
  #isTaken = true;

  /** Of a socket that was just accepted, which is read until `release` is called. */
  constructor(socket: Socket, take: TakeBytes) {
    this.socket = socket;
    this.#take = take;
    this.#handle = "encrypted" in socket ? null : (handleOf(socket) ?? null);
    this.#descriptor = this.#handle?.fd ?? -1;
    parts ??= findParts(socket);
    const own = socket as unknown as Record<symbol, unknown>;
    if (parts === null || this.#handle?.useUserBuffer === undefined || own[parts.buffer] !== null) {
      socket.on("data", this.#onData);
      return;
    }
    own[parts.buffer] = block;
    own[parts.callback] = this.#onRead;
    this.#handle.useUserBuffer(block);
  }

  /** From now on the socket is a stream like any other. */
  release(): void {
    this.#isTaken = false;
    this.socket.off("data", this.#onData);
  }

  /** Sends `bytes[0, length)` behind all before them. False where they are still read once this returns. */
  send(bytes: Buffer, length: number): boolean {
    const socket = this.socket;
    if (socket.writable) {
      const sent = socket.writableLength === 0 ? this.#sendAtOnce(bytes, length) : 0;
      if (sent === length) return true;
      socket.write(bytes.subarray(sent, length));
    }
    return socket.writableLength === 0;
  }

  readonly #onData = (chunk: Buffer): void => this.#take(chunk, chunk.length);

  /** False pauses the socket. */
  readonly #onRead = (length: number): boolean => {
    if (!this.#isTaken) return this.socket.push(Buffer.from(block.subarray(0, length)));
    this.#take(block, length);
    return true;
  };

  /** As many as the system takes, and says how many those were. */
  #sendAtOnce(bytes: Buffer, length: number): number {
    // A socket that has closed has no handle, and its descriptor may be another's by now.
    if (this.#descriptor < 0 || handleOf(this.socket) !== this.#handle) return 0;
    try {
      return writeSync(this.#descriptor, bytes, 0, length);
    } catch {
      // It takes nothing now, or the client is gone: the stream waits, or says so.
      return 0;
    }
  }
}

function handleOf(socket: Socket): SocketHandle | null | undefined {
  return (socket as { _handle?: SocketHandle | null })._handle;
}

function findParts(socket: Socket): ReadingParts | null {
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string): symbol | undefined => symbols.find(({ description }) => description === name);
  const [buffer, callback, next] = [named("kBuffer"), named("kBufferCb"), named("kBufferGen")];
  return buffer === undefined || callback === undefined || next === undefined ? null : { buffer, callback };
}
