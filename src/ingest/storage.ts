/**
 * The disk as the event log sees it, small enough to be replaced by one that forgets what was not synced.
 */
export interface LogStorage {
  /** Names of the files in `folder`, sorted; empty where the folder does not exist. */
  list(folder: string): Promise<string[]>;
  /** `length` bytes from `from` on, fewer where the file ends before; the whole file without them. */
  read(path: string, from?: number, length?: number): Promise<Uint8Array>;
  /** Opens for appending, creating the file, and its folders durably, as needed. */
  open(path: string): Promise<LogFile>;
  truncate(path: string, length: number): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations and removals of files in `folder` durable. */
  syncFolder(folder: string): Promise<void>;
}

export interface LogFile {
  /** Appends at the end; durable only after the next `sync` resolves. `bytes` must not change until then. */
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}
