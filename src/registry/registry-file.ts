/**
 * The registry's file: `registry.json`, every definition as data with its fingerprint, and the history of
 * applies. The file guards itself by a checksum, so that damage is found when it is opened.
 */
import { readFile } from "node:fs/promises";
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { replaceFile } from "./atomic-file.ts";
import { type Data, fromData, hashText, toData } from "./definition-data.ts";
import type { AppliedChange, Registered } from "./registry.ts";

const FORMAT = 1;

export interface RegistryContent {
  readonly definitions: readonly Registered<Definition>[];
  readonly history: readonly AppliedChange[];
}

interface StoredContent {
  readonly definitions: readonly {
    readonly definition: Data;
    readonly fingerprint: string;
    readonly createdAt: string;
  }[];
  readonly history: readonly AppliedChange[];
}

/** Empty where there is no file yet. Throws `REGISTRY_CORRUPT`. */
export async function readRegistryFile(file: string): Promise<RegistryContent> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { definitions: [], history: [] };
    throw corrupt(file, (error as Error).message, error);
  }
  const { definitions, history } = parse(file, text);
  return {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: fromData(definition),
      fingerprint,
      createdAt,
    })),
    history,
  };
}

function parse(file: string, text: string): StoredContent {
  let stored: { readonly format?: unknown; readonly checksum?: unknown; readonly content?: StoredContent };
  try {
    stored = JSON.parse(text) as typeof stored;
  } catch (error) {
    throw corrupt(file, "it is not JSON", error);
  }
  if (stored.format !== FORMAT)
    throw corrupt(file, `its format is ${String(stored.format)}, this version reads ${FORMAT}`);
  const { content } = stored;
  if (content === undefined || hashText(JSON.stringify(content)) !== stored.checksum) {
    throw corrupt(file, "its checksum does not match its content");
  }
  return content;
}

function corrupt(file: string, why: string, cause?: unknown): OnefoldError {
  return new OnefoldError("REGISTRY_CORRUPT", `the registry cannot be read: ${why}`, {
    where: file,
    hint: "restore the file from a backup; events and features are not touched",
    cause,
  });
}

/** Durable once it resolves; a crash leaves the old file or the new one. Throws `STORAGE_FAILED`. */
export async function writeRegistryFile(file: string, { definitions, history }: RegistryContent): Promise<void> {
  const content: StoredContent = {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: toData(definition),
      fingerprint,
      createdAt,
    })),
    history,
  };
  const stored = { format: FORMAT, checksum: hashText(JSON.stringify(content)), content };
  await replaceFile(file, `${JSON.stringify(stored, null, 1)}\n`);
}
