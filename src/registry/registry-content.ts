/**
 * All that a registry holds, as text: every definition as data with its fingerprint, and the history of applies.
 * The text guards itself by a checksum, so that damage is found when it is read.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { type Data, fromData, hashText, toData } from "./definition-data.ts";
import type { ExperimentState } from "./experiment-state.ts";
import type { AppliedChange, Registered } from "./registry.ts";

/** Of contents that have nothing which versions before would leave out. */
const FORMAT = 1;
/** With experiments. */
const FORMAT_WITH_EXPERIMENTS = 2;
const FORMATS: readonly unknown[] = [FORMAT, FORMAT_WITH_EXPERIMENTS];

export interface RegistryContent {
  readonly definitions: readonly Registered<Definition>[];
  readonly history: readonly AppliedChange[];
  /** Of experiments that took a step since they were registered. Absent for none. */
  readonly experiments?: readonly ExperimentState[];
}

interface StoredContent {
  readonly definitions: readonly {
    readonly definition: Data;
    readonly fingerprint: string;
    readonly createdAt: string;
  }[];
  readonly history: readonly AppliedChange[];
  readonly experiments?: readonly ExperimentState[];
}

export const EMPTY_REGISTRY: RegistryContent = { definitions: [], history: [] };

export function encodeRegistry({ definitions, history, experiments = [] }: RegistryContent): string {
  const content: StoredContent = {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: toData(definition),
      fingerprint,
      createdAt,
    })),
    history,
    ...(experiments.length === 0 ? {} : { experiments }),
  };
  const hasExperiments = definitions.some(({ definition }) => definition.kind === "experiment");
  const format = hasExperiments ? FORMAT_WITH_EXPERIMENTS : FORMAT;
  const stored = { format, checksum: hashText(JSON.stringify(content)), content };
  return `${JSON.stringify(stored, null, 1)}\n`;
}

/** `where` the text stands. Throws `REGISTRY_CORRUPT`. */
export function decodeRegistry(text: string, where: string): RegistryContent {
  const { definitions, history, experiments } = parse(text, where);
  return {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: fromData(definition),
      fingerprint,
      createdAt,
    })),
    history,
    ...(experiments === undefined ? {} : { experiments }),
  };
}

function parse(text: string, where: string): StoredContent {
  let stored: { readonly format?: unknown; readonly checksum?: unknown; readonly content?: StoredContent };
  try {
    stored = JSON.parse(text) as typeof stored;
  } catch (error) {
    throw corrupt(where, "it is not JSON", error);
  }
  if (!FORMATS.includes(stored.format)) {
    throw corrupt(where, `its format is ${String(stored.format)}, this version reads ${FORMATS.join(" and ")}`);
  }
  const { content } = stored;
  if (content === undefined || hashText(JSON.stringify(content)) !== stored.checksum) {
    throw corrupt(where, "its checksum does not match its content");
  }
  return content;
}

export function corrupt(where: string, why: string, cause?: unknown): OnefoldError {
  return new OnefoldError("REGISTRY_CORRUPT", `the registry cannot be read: ${why}`, {
    where,
    hint: "restore it from a backup; events and features are not touched",
    cause,
  });
}
