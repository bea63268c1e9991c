/**
 * One line of the serving log: a vector as it was served, and all that is needed to compute it again.
 *
 * A line is one JSON object, and reads back bit for bit: JSON keeps every finite double but -0, so -0,
 * NaN and the infinities stand as `{"$f": "-0"}`, and bytes as `{"$b": "<base64>"}`. Segments are NDJSON
 * files whose names sort by age; a crash can tear the last line of one, which the reader leaves out. A line that was erased has
 * blanks in its place; it is passed over as an empty one is.
 */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { decodeVectorToken, encodeVectorToken, type VectorToken } from "./vector-token.ts";
import type { Value } from "./value.ts";

export interface ServedVector {
  /** Name of the service; empty for features that were asked for by name. */
  readonly service: string;
  /** Canonical key of the entity by entity name. */
  readonly keys: Readonly<Record<string, string>>;
  readonly token: VectorToken;
  /**
   * `view@version:feature` of each value, in the order of `values`: a service may be redefined after it
   * was read, and the line must still say what it served.
   */
  readonly features: readonly string[];
  readonly values: readonly Value[];
  /** Status codes, `Status` of the fold. */
  readonly statuses: readonly number[];
  /** What the service computed from those values; absent where it returned them as they are. */
  readonly computed?: ComputedVector;
  /** Absent where no experiment chose the service. */
  readonly exposure?: Exposure;
}

/** That an experiment served a unit one of its variants. */
export interface Exposure {
  readonly experiment: string;
  /** `service@version`. */
  readonly variant: string;
  /** Its canonical text. */
  readonly unit: string;
  /** The entity whose key the unit is; absent where the request carried it. */
  readonly entity?: string;
}

/** The vector that a service's on-demand views and transformations made of the features that were read. */
export interface ComputedVector {
  /** Of the service's definition: it says what was computed, and how the values are called. */
  readonly fingerprint: string;
  /** Version of what its transformations were fitted to; absent where none is fitted. */
  readonly fit?: number;
  /** Request data, in the order of the service's request columns. */
  readonly request: readonly Value[];
  /** In the order of the vector. */
  readonly values: readonly Value[];
  readonly statuses: readonly number[];
}

/** Ending of a serving-log segment's file name. */
export const SERVING_LOG_SUFFIX = ".ndjson";

/** Lists of features, which are a plan's and the same for all its vectors, as text. */
const featureTexts = new WeakMap<readonly string[], string>();

/** One line, without its newline. The lists in it are not to be changed afterwards. */
export function encodeServedVector(vector: ServedVector): string {
  const { service, keys, token, features, values, statuses, computed, exposure } = vector;
  let featuresText = featureTexts.get(features);
  if (featuresText === undefined) featureTexts.set(features, (featuresText = JSON.stringify(features)));
  const read = `${featuresText},"values":${valuesText(values)},"statuses":[${statuses.join(",")}]`;
  const head = `{"service":${JSON.stringify(service)},"keys":${JSON.stringify(keys)},"token":"${encodeVectorToken(token)}"`;
  const made = computed === undefined ? "" : `,"computed":${JSON.stringify(packComputed(computed))}`;
  const shown = exposure === undefined ? "" : `,"exposure":${JSON.stringify(packExposure(exposure))}`;
  return `${head},"features":${read}${made}${shown}}`;
}

/** What `JSON.stringify(values.map(packValue))` says. */
function valuesText(values: readonly Value[]): string {
  let text = "[";
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (i > 0) text += ",";
    // The shortest text of a finite number is the same in JSON.
    const isPlain = typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0);
    text += isPlain ? `${value}` : JSON.stringify(packValue(value));
  }
  return `${text}]`;
}

/** Of what is known of it beside, nothing more. */
function packExposure({ experiment, variant, unit, entity }: Exposure): object {
  return { experiment, variant, unit, entity };
}

/** Throws a plain `Error`. */
function unpackExposure(packed: unknown): Exposure {
  const { experiment, variant, unit, entity } = (packed ?? {}) as Record<string, unknown>;
  if (typeof experiment !== "string" || typeof variant !== "string" || typeof unit !== "string")
    throw new Error("exposure");
  return { experiment, variant, unit, ...(typeof entity === "string" ? { entity } : {}) };
}

function packComputed({ fingerprint, fit, request, values, statuses }: ComputedVector): unknown {
  return { fingerprint, fit, request: request.map(packValue), values: values.map(packValue), statuses };
}

/** Throws a plain `Error` that names the part that is wrong. */
function unpackComputed(packed: unknown): ComputedVector {
  const { fingerprint, fit, request, values, statuses } = (packed ?? {}) as Record<string, unknown>;
  if (typeof fingerprint !== "string") throw new Error("fingerprint");
  if (fit !== undefined && typeof fit !== "number") throw new Error("fit");
  if (!Array.isArray(request) || !Array.isArray(values) || !Array.isArray(statuses)) throw new Error("computed lists");
  if (values.length !== statuses.length) throw new Error("computed lengths");
  return {
    fingerprint,
    ...(fit === undefined ? {} : { fit }),
    request: request.map(unpackValue),
    values: values.map(unpackValue),
    statuses: statuses as number[],
  };
}

/** The inverse, to the bit. Throws `LOG_CORRUPT`; `where` (file and line) goes into the error. */
export function decodeServedVector(line: string, where?: string): ServedVector {
  try {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    const { service, keys, token, features, values, statuses } = parsed;
    if (typeof service !== "string" || typeof token !== "string") throw new Error("service or token");
    if (typeof keys !== "object" || keys === null) throw new Error("keys");
    if (!Array.isArray(features) || !Array.isArray(values) || !Array.isArray(statuses)) throw new Error("lists");
    if (values.length !== statuses.length || values.length !== features.length) throw new Error("lengths");
    return {
      service,
      keys: keys as Record<string, string>,
      token: decodeVectorToken(token),
      features: features as string[],
      values: values.map(unpackValue),
      statuses: statuses as number[],
      ...(parsed["computed"] === undefined ? {} : { computed: unpackComputed(parsed["computed"]) }),
      ...(parsed["exposure"] === undefined ? {} : { exposure: unpackExposure(parsed["exposure"]) }),
    };
  } catch (cause) {
    throw new OnefoldError("LOG_CORRUPT", "a line of the serving log cannot be read", {
      ...(where === undefined ? {} : { where }),
      hint: "move the damaged segment away; it holds samples only, and nothing else depends on it",
      cause,
    });
  }
}

/**
 * All vectors of the serving log in `folder`, oldest segment first; none where the folder does not exist.
 * Throws `LOG_CORRUPT` for a damaged line, but leaves out the torn last line of a segment, and a segment that is
 * removed meanwhile: the oldest go when the log is full. Throws `FILE_UNREADABLE`.
 */
export async function* readServingLog(folder: string): AsyncIterableIterator<ServedVector> {
  for (const name of await listSegments(folder)) {
    const path = join(folder, name);
    let rest = "";
    let lineNumber = 0;
    for await (const chunk of chunksOf(path)) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        lineNumber++;
        if (line !== "" && !isErasedLine(line)) yield decodeServedVector(line, `${path}:${lineNumber}`);
      }
    }
  }
}

/** A line of the serving log, and where it ends. */
export interface PlacedVector {
  /** Null for a line that cannot be read. */
  readonly vector: ServedVector | null;
  readonly segment: string;
  /** Bytes up to the line's end, of the segment. */
  readonly end: number;
}

/**
 * The lines behind the places, in bytes by segment, oldest segment first: to go on where another reading ended. A segment's
 * torn last line is not among them. Throws `FILE_UNREADABLE`.
 */
export async function* readServingLogFrom(
  folder: string,
  places: Readonly<Record<string, number>>,
): AsyncIterableIterator<PlacedVector> {
  for (const segment of await listSegments(folder)) {
    let end = places[segment] ?? 0;
    let rest = "";
    for await (const chunk of chunksOf(join(folder, segment), end)) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        end += Buffer.byteLength(line) + 1;
        if (line !== "" && !isErasedLine(line)) yield { vector: readable(line), segment, end };
      }
    }
  }
}

/** Also one that is just being erased: no line has a blank at either end otherwise. */
export function isErasedLine(line: string): boolean {
  return line.startsWith(" ") || line.endsWith(" ");
}

function readable(line: string): ServedVector | null {
  try {
    return decodeServedVector(line);
  } catch {
    return null;
  }
}

/** None of a file that is not there any more. */
async function* chunksOf(path: string, start = 0): AsyncIterableIterator<string> {
  const stream = createReadStream(path, { encoding: "utf8", highWaterMark: 256 * 1024, start });
  try {
    for await (const chunk of stream) yield chunk as string;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new OnefoldError("FILE_UNREADABLE", "a segment of the serving log cannot be read", { where: path, cause });
  }
}

async function listSegments(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(SERVING_LOG_SUFFIX)).sort();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new OnefoldError("FILE_UNREADABLE", `the serving log in ${folder} cannot be listed`, { cause });
  }
}

function packValue(value: Value): unknown {
  if (typeof value === "number") {
    if (Number.isFinite(value) && !Object.is(value, -0)) return value;
    return { $f: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (value instanceof Uint8Array) return { $b: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(packValue);
  return value;
}

function unpackValue(packed: unknown): Value {
  if (packed === null || typeof packed !== "object") return packed as Value;
  if (Array.isArray(packed)) return packed.map(unpackValue);
  if ("$f" in packed) return Number(packed.$f);
  if ("$b" in packed) return new Uint8Array(Buffer.from(String(packed.$b), "base64"));
  throw new Error("value");
}
