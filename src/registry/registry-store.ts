/**
 * Where a registry's content is kept: in a file, or in a database that several servers share.
 *
 * Contract, held by one conformance suite on every implementation:
 * - `read` gives the content of one moment, after some change and before the next;
 * - a `change` that resolved is durable, and is seen by every `read` that begins then;
 * - changes are one after the other, whoever makes them: each is made of the content that the one before left.
 */
import type { RegistryContent } from "./registry-content.ts";

export interface StoredRegistryContent {
  readonly content: RegistryContent;
  /** Another one after each change, where several processes may make them. */
  readonly revision: string;
}

export interface RegistryStore {
  /** Throws `REGISTRY_CORRUPT`, and what a database fails with. */
  read(): Promise<StoredRegistryContent>;
  /**
   * Puts what `next` makes of the present content in its place; null leaves it. What `next` throws is thrown, and
   * nothing is changed. Throws `STORAGE_FAILED`, and what a database fails with.
   */
  change(next: (content: RegistryContent) => RegistryContent | null): Promise<StoredRegistryContent>;
  /** The revision of the content as it is now, for less than reading it. */
  revision(): Promise<string>;
  /** Calls back soon after another process has made a change, if it can; who must not miss one also asks `revision`. */
  watch(onNews: () => void): RegistryNews;
  close(): Promise<void>;
}

export interface RegistryNews {
  close(): Promise<void>;
}
