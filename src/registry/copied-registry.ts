/**
 * A registry that others share, with a copy of it in the data folder: what this server serves, whatever becomes of
 * the database. Its workers read the copy, and it starts from the copy while the database is away.
 *
 * The copy also tells whose states are in the folder. A registry never loses a numbered version and never changes
 * one; one that seems to is another registry, or an older backup, and its definitions are not taken up: the states
 * that were folded would be read as what they are not.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { keyOf, shownName, versionOf } from "./definition-set.ts";
import type { RegistryContent } from "./registry-content.ts";
import { readRegistryFile, writeRegistryFile } from "./registry-file.ts";
import type { RegistryNews, RegistryStore, StoredRegistryContent } from "./registry-store.ts";

export interface CopyOptions {
  /** Of the database, for messages. */
  readonly where: string;
  readonly file: string;
  /** What was registered in the folder's own file, if it had one before; its versions may be missing, but mean the same. */
  readonly formerly: RegistryContent | null;
}

export class CopiedRegistry implements RegistryStore {
  readonly #store: RegistryStore;
  readonly #options: CopyOptions;
  #copy: RegistryContent | null;
  /** Of the copy; null where it was made by an earlier process. */
  #revision: string | null = null;

  private constructor(store: RegistryStore, options: CopyOptions, copy: RegistryContent | null) {
    this.#store = store;
    this.#options = options;
    this.#copy = copy;
  }

  /** Throws `REGISTRY_CORRUPT` where the copy is damaged. */
  static async open(store: RegistryStore, options: CopyOptions): Promise<CopiedRegistry> {
    return new CopiedRegistry(store, options, await readRegistryFile(options.file));
  }

  /** The copy while the database is away. Throws `REGISTRY_MISMATCH`, and as the store does. */
  async read(): Promise<StoredRegistryContent> {
    let stored: StoredRegistryContent;
    try {
      stored = await this.#store.read();
    } catch (error) {
      const isAway = isOnefoldError(error) && error.code === "REGISTRY_UNREACHABLE";
      if (!isAway || this.#copy === null) throw error;
      // A revision that is none: it is behind as soon as the database is there.
      return { content: this.#copy, revision: this.#revision ?? "a copy" };
    }
    this.#refuseOther(stored.content);
    await this.#keep(stored);
    return stored;
  }

  async change(next: (content: RegistryContent) => RegistryContent | null): Promise<StoredRegistryContent> {
    const stored = await this.#store.change((content) => {
      this.#refuseOther(content);
      const changed = next(content);
      if (changed !== null) this.#refuseOther(changed);
      return changed;
    });
    await this.#keep(stored);
    return stored;
  }

  revision(): Promise<string> {
    return this.#store.revision();
  }

  watch(onNews: () => void): RegistryNews {
    return this.#store.watch(onNews);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #keep({ content, revision }: StoredRegistryContent): Promise<void> {
    if (revision === this.#revision) return;
    await writeRegistryFile(this.#options.file, content);
    this.#copy = content;
    this.#revision = revision;
  }

  #refuseOther(content: RegistryContent): void {
    const { formerly, where, file } = this.#options;
    const all = [...content.definitions, ...(content.retired ?? [])];
    const fingerprints = new Map(all.map((one) => [keyOf(one.definition), one.fingerprint]));
    const numbered = (known: RegistryContent | null): RegistryContent["definitions"] =>
      known?.definitions.filter(({ definition }) => neverChanges(definition)) ?? [];
    const other = (one: RegistryContent["definitions"][number], maybeMissing: boolean): boolean => {
      const found = fingerprints.get(keyOf(one.definition));
      return found === undefined ? !maybeMissing : found !== one.fingerprint;
    };
    const strange =
      numbered(this.#copy).find((one) => other(one, false)) ?? numbered(formerly).find((one) => other(one, true));
    if (strange === undefined) return;
    throw new OnefoldError(
      "REGISTRY_MISMATCH",
      `${shownName(strange.definition)} of this data folder is not what it is in the registry at ${where}`,
      {
        where: file,
        hint: "name the registry that this data folder was opened with before, or start with a new data folder",
      },
    );
  }
}

/** Version 1 of a service may be redefined while it is the only one. */
function neverChanges(definition: Definition): boolean {
  const version = versionOf(definition);
  return version !== null && version !== "dev" && (definition.kind !== "service" || version > 1);
}
