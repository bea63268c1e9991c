/**
 * A registry's content in a file, `registry.json`, written whole on each change. One process changes it: the owner of
 * the data folder.
 */
import { readFile } from "node:fs/promises";
import { replaceFile } from "./atomic-file.ts";
import { corrupt, decodeRegistry, EMPTY_REGISTRY, encodeRegistry, type RegistryContent } from "./registry-content.ts";
import type { RegistryNews, RegistryStore, StoredRegistryContent } from "./registry-store.ts";

/** Nobody else changes the file. */
const ONLY_REVISION = "";

/** Null where there is no file yet. Throws `REGISTRY_CORRUPT`. */
export async function readRegistryFile(file: string): Promise<RegistryContent | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw corrupt(file, (error as Error).message, error);
  }
  return decodeRegistry(text, file);
}

/** Durable once it resolves; a crash leaves the old file or the new one. Throws `STORAGE_FAILED`. */
export async function writeRegistryFile(file: string, content: RegistryContent): Promise<void> {
  await replaceFile(file, encodeRegistry(content));
}

export class RegistryFile implements RegistryStore {
  readonly #file: string;
  #content: RegistryContent = EMPTY_REGISTRY;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  async read(): Promise<StoredRegistryContent> {
    this.#content = (await readRegistryFile(this.#file)) ?? EMPTY_REGISTRY;
    return { content: this.#content, revision: ONLY_REVISION };
  }

  change(next: (content: RegistryContent) => RegistryContent | null): Promise<StoredRegistryContent> {
    const result = this.#changing.then(async () => {
      const content = next(this.#content);
      if (content !== null) {
        await writeRegistryFile(this.#file, content);
        this.#content = content;
      }
      return { content: this.#content, revision: ONLY_REVISION };
    });
    this.#changing = result.catch(() => undefined);
    return result;
  }

  revision(): Promise<string> {
    return Promise.resolve(ONLY_REVISION);
  }

  watch(): RegistryNews {
    return { close: () => Promise.resolve() };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
