/**
 * All that a registry holds, as text: every definition as data with its fingerprint, and the history of applies.
 * The text guards itself by a checksum, so that damage is found when it is read.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { versionOfService } from "../define/service-version.ts";
import type { Column } from "../schema/value.ts";
import { type Data, fromData, hashText, toData } from "./definition-data.ts";
import type { AliasMove } from "./alias-moves.ts";
import type { RetiredVersion } from "./retired-version.ts";
import type { ExperimentState } from "./experiment-state.ts";
import type { AppliedChange, Registered } from "./registry.ts";

/** As it always was, and read by every version of Onefold. */
const FORMAT = 1;
/**
 * Has what would be misread where it is not known: services with versions, aliases, experiments, versions that were retired,
 * columns with a past. Written only where there is such.
 */
const FORMAT_OF_VERSIONS = 2;

export interface RegistryContent {
  readonly definitions: readonly Registered<Definition>[];
  readonly history: readonly AppliedChange[];
  /** Of experiments that took a step since they were registered. Absent for none. */
  readonly experiments?: readonly ExperimentState[];
  /** Every move of an alias, oldest first; absent where none was ever set. */
  readonly aliasMoves?: readonly AliasMove[];
  /** Oldest first; absent where none was. */
  readonly retired?: readonly RetiredVersion[];
}

interface StoredContent {
  readonly definitions: readonly {
    readonly definition: Data;
    readonly fingerprint: string;
    readonly createdAt: string;
  }[];
  readonly history: readonly AppliedChange[];
  readonly experiments?: readonly ExperimentState[];
  readonly aliasMoves?: readonly AliasMove[];
  readonly retired?: readonly (Omit<RetiredVersion, "definition"> & { readonly definition: Data })[];
}

export const EMPTY_REGISTRY: RegistryContent = { definitions: [], history: [] };

export function encodeRegistry({
  definitions,
  history,
  aliasMoves = [],
  retired = [],
  experiments = [],
}: RegistryContent): string {
  const content: StoredContent = {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: toData(definition),
      fingerprint,
      createdAt,
    })),
    history,
    ...(aliasMoves.length === 0 ? {} : { aliasMoves }),
    ...(retired.length === 0
      ? {}
      : { retired: retired.map((one) => ({ ...one, definition: toData(one.definition) })) }),
    ...(experiments.length === 0 ? {} : { experiments }),
  };
  const isNewer = definitions.some(({ definition }) => isOfVersions(definition));
  const hasVersions = aliasMoves.length > 0 || retired.length > 0 || isNewer;
  const format = hasVersions ? FORMAT_OF_VERSIONS : FORMAT;
  const stored = { format, checksum: hashText(JSON.stringify(content)), content };
  return `${JSON.stringify(stored, null, 1)}\n`;
}

function isOfVersions(definition: Definition): boolean {
  if (definition.kind === "stream" || definition.kind === "batch") return definition.columns.some(hasPast);
  return definition.kind === "experiment" || (definition.kind === "service" && versionOfService(definition) > 1);
}

/** Renamed, widened or dropped: who does not know of it would refuse its new name, or misread what is stored. */
function hasPast({ as, from, dropped }: Column): boolean {
  return as !== undefined || from !== undefined || dropped !== undefined;
}

/** `where` the text stands. Throws `REGISTRY_CORRUPT`, and `REGISTRY_TOO_NEW` where a later Onefold wrote it. */
export function decodeRegistry(text: string, where: string): RegistryContent {
  const { definitions, history, aliasMoves, retired, experiments } = parse(text, where);
  return {
    definitions: definitions.map(({ definition, fingerprint, createdAt }) => ({
      definition: fromData(definition),
      fingerprint,
      createdAt,
    })),
    history,
    ...(experiments === undefined ? {} : { experiments }),
    ...(aliasMoves === undefined ? {} : { aliasMoves }),
    ...(retired === undefined
      ? {}
      : { retired: retired.map((one) => ({ ...one, definition: fromData(one.definition) })) }),
  };
}

function parse(text: string, where: string): StoredContent {
  let stored: { readonly format?: unknown; readonly checksum?: unknown; readonly content?: StoredContent };
  try {
    stored = JSON.parse(text) as typeof stored;
  } catch (error) {
    throw corrupt(where, "it is not JSON", error);
  }
  if (Number(stored.format) > FORMAT_OF_VERSIONS) {
    const what = `the registry's format is ${String(stored.format)}, this version of Onefold reads ${FORMAT_OF_VERSIONS}`;
    throw new OnefoldError("REGISTRY_TOO_NEW", what, {
      where,
      hint: "update Onefold here to the version that wrote it",
    });
  }
  if (stored.format !== FORMAT && stored.format !== FORMAT_OF_VERSIONS) {
    throw corrupt(where, `its format is ${String(stored.format)}, this version reads ${FORMAT_OF_VERSIONS}`);
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
