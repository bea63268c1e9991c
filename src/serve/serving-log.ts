/**
 * The serving log: a sample of the vectors that were served, kept so that an audit can compute them again.
 *
 * Which entities are sampled follows from a hash of service and keys alone, so all vectors of a sampled
 * entity are there, on every server alike. Recording never waits and never throws: lines gather in memory,
 * and past the bound (a disk that cannot keep up, or fails) vectors are dropped and counted.
 *
 * Several processes may write into one folder, each into segments of its own: a segment belongs to whoever
 * created its file, which nobody else can then.
 */
import { type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { encodeServedVector, SERVING_LOG_SUFFIX, type ServedVector } from "../schema/served-vector.ts";

export interface ServingLogOptions {
  /** Created as needed; segments of earlier runs stay and are read first. */
  readonly folder: string;
  /** Share of the entities that are sampled, 0 to 1. */
  readonly sampleRate: number;
  /** A segment is closed past this size. Default 16 MB. */
  readonly segmentBytesMax?: number;
  /** The oldest segments are removed past this size in all. Default 1 GB. */
  readonly totalBytesMax?: number;
  /** Lines waiting to be written, beyond which vectors are dropped. Default 16 MB. */
  readonly pendingBytesMax?: number;
  /** Longest time a line waits to be written. Default 500 ms. */
  readonly flushMillis?: number;
  /** Told of the first failure of every run of failed writes. */
  readonly onError?: (error: unknown) => void;
}

export interface ServingLog {
  /** Whether vectors of these entities, with the keys in their order, are kept. */
  samples(service: string, entities: readonly { readonly name: string }[], keys: readonly string[]): boolean;
  /** Keeps a vector, sampled or not. Never throws. */
  record(vector: ServedVector): void;
  /** Resolves once all vectors recorded before are in a file (or dropped, where writing fails). Never rejects. */
  flush(): Promise<void>;
  /** Flushes and ends; vectors recorded later are dropped. */
  close(): Promise<void>;
  readonly recorded: number;
  readonly dropped: number;
}

const MEGABYTE = 1024 * 1024;

export async function openServingLog(options: ServingLogOptions): Promise<ServingLog> {
  const { folder, sampleRate, segmentBytesMax = 16 * MEGABYTE, totalBytesMax = 1024 * MEGABYTE } = options;
  const { pendingBytesMax = 16 * MEGABYTE, flushMillis = 500, onError = () => {} } = options;
  await mkdir(folder, { recursive: true });

  let pending: string[] = [];
  let pendingBytes = 0;
  let recorded = 0;
  let dropped = 0;
  let closed = false;
  let failing = false;
  let timer: NodeJS.Timeout | null = null;
  let file: FileHandle | null = null;
  let fileBytes = 0;
  /** Writes follow each other on this chain; it never rejects. */
  let writing: Promise<void> = Promise.resolve();

  const openSegment = async (): Promise<FileHandle> => {
    const segments = await listSegments(folder);
    file = await createSegment(folder, segments.length === 0 ? 0 : Number.parseInt(segments.at(-1)!.name, 10) + 1);
    fileBytes = 0;
    let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    for (const oldest of segments) {
      if (total <= totalBytesMax) break;
      total -= oldest.bytes;
      await rm(join(folder, oldest.name), { force: true });
    }
    return file;
  };

  /** The segment to write into: a new one, too, where another process has removed this one as the oldest of all. */
  const presentSegment = async (): Promise<FileHandle> => {
    if (file !== null && (await file.stat()).nlink === 0) await closeSegment();
    return file ?? openSegment();
  };

  const closeSegment = async (): Promise<void> => {
    const closing = file;
    file = null;
    await closing?.close();
  };

  const writePending = async (): Promise<void> => {
    const lines = pending;
    if (lines.length === 0) return;
    const bytes = Buffer.from(lines.join(""));
    pending = [];
    try {
      await (await presentSegment()).appendFile(bytes);
      fileBytes += bytes.length;
      if (fileBytes >= segmentBytesMax) await closeSegment();
      failing = false;
    } catch (error) {
      dropped += lines.length;
      recorded -= lines.length;
      // A line may be torn; only the last of a segment may be, so this segment ends here.
      await closeSegment().catch(() => {});
      if (!failing) onError(error);
      failing = true;
    } finally {
      pendingBytes -= bytes.length;
    }
  };

  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    writing = writing.then(writePending);
    return writing;
  };

  return {
    samples: (service, entities, keys) => isSampled(service, entities, keys, sampleRate),
    record(vector) {
      if (closed || pendingBytes >= pendingBytesMax) {
        dropped++;
        return;
      }
      const line = `${encodeServedVector(vector)}\n`;
      pending.push(line);
      pendingBytes += Buffer.byteLength(line);
      recorded++;
      timer ??= setTimeout(() => void flush(), flushMillis).unref();
    },
    flush,
    async close() {
      closed = true;
      await flush();
      await closeSegment().catch(onError);
    },
    get recorded() {
      return recorded;
    },
    get dropped() {
      return dropped;
    },
  };
}

/** The first segment from `number` on that nobody has created yet. */
async function createSegment(folder: string, number: number): Promise<FileHandle> {
  for (let next = number; ; next++) {
    try {
      return await open(join(folder, `${String(next).padStart(12, "0")}${SERVING_LOG_SUFFIX}`), "ax");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

async function listSegments(folder: string): Promise<{ name: string; bytes: number }[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{12}\./.test(name) && name.endsWith(SERVING_LOG_SUFFIX));
  // Another process may remove one meanwhile.
  const bytesOf = (name: string): Promise<number> =>
    stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    );
  return Promise.all(names.sort().map(async (name) => ({ name, bytes: await bytesOf(name) })));
}

/** FNV-1a, 32 bits, over service, entity names and keys, spread over [0, 1). */
function isSampled(
  service: string,
  entities: readonly { readonly name: string }[],
  keys: readonly string[],
  sampleRate: number,
): boolean {
  if (sampleRate >= 1) return true;
  let hash = hashText(0x811c9dc5, service);
  for (let i = 0; i < entities.length; i++) hash = hashText(hashText(hash, entities[i]!.name), keys[i]!);
  // FNV's high bits vary little between short keys: mix them as MurmurHash3 ends.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32 < sampleRate;
}

function hashText(hash: number, text: string): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return Math.imul(hash ^ 0xffff, 0x01000193);
}
