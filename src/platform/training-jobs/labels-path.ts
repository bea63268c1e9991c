/**
 * Label files on the server that a caller may name: those in one folder, and nothing that a link leads out of it to.
 */
import { realpath, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import type { LabelFormat } from "../../serve/training-desk.ts";

export interface LabelFile {
  readonly path: string;
  readonly format: LabelFormat;
  readonly bytes: number;
}

/**
 * `named` is looked for in `folder`, where it is relative. Throws `PATH_NOT_ALLOWED` for one outside of it, and where there
 * is no such folder, `FILE_UNREADABLE` for what is no file or of no known format.
 */
export async function findLabelFile(folder: string | undefined, named: string): Promise<LabelFile> {
  if (folder === undefined) {
    throw new OnefoldError("PATH_NOT_ALLOWED", "this server reads no label files of its own", {
      where: "body/labels/path",
      hint: "start it with --labels-folder FOLDER, or upload the labels",
    });
  }
  const path = resolve(folder, named);
  if (!isIn(resolve(folder), path)) throw outside(named);
  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", `there is no label file ${named}`, { where: "body/labels/path", cause });
  }
  if (!isIn(await realpath(folder), real)) throw outside(named);
  const found = await stat(real);
  const format = formatOf(real);
  if (!found.isFile() || format === null) {
    throw new OnefoldError("FILE_UNREADABLE", `${named} is no file of label rows`, {
      where: "body/labels/path",
      hint: "name a file that ends in .parquet, .csv, .ndjson or .jsonl",
    });
  }
  return { path: real, format, bytes: found.size };
}

function isIn(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function outside(named: string): OnefoldError {
  return new OnefoldError("PATH_NOT_ALLOWED", `${named} lies outside the folder that label files may be read from`, {
    where: "body/labels/path",
    hint: "name a file in the server's --labels-folder, relative to it; or upload the labels",
  });
}

/** As training reads it, by the ending. */
function formatOf(path: string): LabelFormat | null {
  const name = path.toLowerCase().replace(/\.gz$/, "");
  if (/\.(parquet|pq)$/.test(name)) return "parquet";
  if (/\.(csv|tsv)$/.test(name)) return "csv";
  return /\.(ndjson|jsonl|json)$/.test(name) ? "ndjson" : null;
}
