/**
 * In which format all files of a data folder are, as `format.json` in it says.
 *
 * Most files say so themselves, too. But what a later version adds this one cannot know to look for: it would read states
 * without what stands beside them, or take a file of another form for one that a crash left half written, and remove it. So a
 * folder is looked at as a whole before anything in it is opened.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { type FormatMark, formatMarkText, parseFormatMark } from "../base/format-mark.ts";
import { packageVersion } from "../base/version.ts";
import { createFile } from "../registry/atomic-file.ts";

/** To be raised with any change after which a version from before would misread the folder. */
export const FOLDER_FORMAT = 1;

/** Throws `DATA_FOLDER_FORMAT`. A folder without a mark is new, or from before there were marks: of the first format. */
export async function refuseOtherFormat(dataDir: string): Promise<void> {
  const file = join(dataDir, "format.json");
  const mark = await readMark(file);
  if (mark === null || mark.format === FOLDER_FORMAT) return;
  const { format, onefold } = mark;
  throw new OnefoldError(
    "DATA_FOLDER_FORMAT",
    `the data folder is of format ${format}, written by Onefold ${onefold}; this is Onefold ${packageVersion()}, which reads format ${FOLDER_FORMAT}`,
    { where: file, hint: `use Onefold ${onefold}, or another data folder; nothing in this one was changed` },
  );
}

/** For who writes there, of which there may be several: leaves a mark where there is none. Throws `STORAGE_FAILED`. */
export async function markFormat(dataDir: string): Promise<void> {
  const file = join(dataDir, "format.json");
  if ((await readMark(file)) !== null) return;
  await createFile(file, `${formatMarkText(FOLDER_FORMAT)}\n`);
}

async function readMark(file: string): Promise<FormatMark | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unreadable(file, error);
  }
  try {
    return parseFormatMark(text);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): OnefoldError {
  return new OnefoldError(
    "DATA_FOLDER_FORMAT",
    "the file that says in which format the data folder is cannot be read",
    {
      where: file,
      hint: "restore it from a backup; where this version of Onefold has always written the folder, delete the file",
      cause,
    },
  );
}
