/**
 * Label rows that are sent as a file: its format by the content type, and the file received on disk within a limit,
 * never in memory.
 */
import { createWriteStream } from "node:fs";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { OnefoldError } from "../base/errors.ts";
import { bodyTooLarge, discard } from "./request-body.ts";
import type { LabelFormat } from "./training-desk.ts";

/** A body that has not been read yet. */
export class LabelUpload {
  readonly format: LabelFormat;
  readonly #stream: Readable;
  readonly #declaredBytes: number | undefined;

  constructor(format: LabelFormat, stream: Readable, declaredBytes: number | undefined) {
    this.format = format;
    this.#stream = stream;
    this.#declaredBytes = declaredBytes;
  }

  /** Resolves once the whole body is in the file. Throws `BODY_TOO_LARGE`, `REQUEST_INVALID` where the client goes away, `STORAGE_FAILED`. */
  async receive(path: string, bytesMax: number): Promise<void> {
    if ((this.#declaredBytes ?? 0) > bytesMax) {
      await this.refuse();
      throw labelsTooLarge(this.#declaredBytes!, bytesMax);
    }
    let bytes = 0;
    const limit = new Transform({
      transform(chunk: Buffer, _encoding, done): void {
        bytes += chunk.length;
        done(bytes > bytesMax ? labelsTooLarge(bytes, bytesMax) : null, chunk);
      },
    });
    try {
      await pipeline(this.#stream, limit, createWriteStream(path));
    } catch (cause) {
      if (cause instanceof OnefoldError) throw cause;
      if (this.#stream.errored !== null || this.#stream.destroyed) {
        const gone = "the client went away before its label rows were whole";
        throw new OnefoldError("REQUEST_INVALID", gone, { where: "body", cause });
      }
      throw new OnefoldError("STORAGE_FAILED", `cannot keep the label rows: ${(cause as Error).message}`, { cause });
    }
  }

  /** Lets a client that is still sending read the answer that refuses what it sends. */
  refuse(): Promise<void> {
    return discard(this.#stream, this.#declaredBytes);
  }
}

const FORMATS: Readonly<Record<string, LabelFormat>> = {
  "application/vnd.apache.parquet": "parquet",
  "application/x-parquet": "parquet",
  "text/csv": "csv",
  "application/x-ndjson": "ndjson",
  "application/jsonl": "ndjson",
};

/** Content types of label files. */
export const LABEL_TYPES: readonly string[] = Object.keys(FORMATS);

/** What command-line clients call a body where nothing else was said, too. */
const JSON_TYPES: readonly string[] = ["", "application/json", "application/x-www-form-urlencoded", "text/plain"];

/** Null for a body that is JSON. Throws `REQUEST_INVALID` for one that is neither that nor a file of label rows. */
export function labelFormatOf(contentType: string): LabelFormat | null {
  const type = contentType.split(";", 1)[0]!.trim().toLowerCase();
  const format = FORMATS[type];
  if (format !== undefined) return format;
  if (JSON_TYPES.includes(type)) return null;
  throw new OnefoldError("REQUEST_INVALID", `label rows are not read from ${type}`, {
    where: "header content-type",
    hint: `send ${LABEL_TYPES.join(", ")}, or application/json`,
  });
}

function labelsTooLarge(bytes: number, bytesMax: number): OnefoldError {
  const { code, message } = bodyTooLarge(bytes, bytesMax);
  return new OnefoldError(code, message, {
    where: "body",
    hint: "send Parquet, which is smaller, with the columns that are needed alone; or name a file on the server as labels.path",
  });
}
