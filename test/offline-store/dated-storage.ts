/** A table's storage on disk whose files are dated by a clock that the test turns. */
import { utimes } from "node:fs/promises";
import type { Clock } from "../../src/base/clock.ts";
import { diskTableStorage, type TableStorage } from "../../src/offline-store/table-storage.ts";

export function datedStorage(clock: Clock): TableStorage {
  const now = (): number => Math.floor(clock.now() / 1000);
  const date = (path: string, millis: number = now()): Promise<void> => utimes(path, millis / 1000, millis / 1000);
  return {
    ...diskTableStorage,
    async putIfAbsent(path, text) {
      const isNew = await diskTableStorage.putIfAbsent(path, text);
      if (isNew) await date(path);
      return isNew;
    },
    async replace(path, text, writtenMillis) {
      await diskTableStorage.replace(path, text);
      await date(path, writtenMillis);
    },
    async publish(written, path) {
      await diskTableStorage.publish(written, path);
      await date(path);
    },
    clockMillis: async () => now(),
  };
}
