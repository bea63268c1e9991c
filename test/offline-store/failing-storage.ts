/** A table's storage that loses its power at a chosen write. */
import { diskTableStorage, type TableStorage } from "../../src/offline-store/table-storage.ts";

/** Fails the n-th write (counted from 0) and all after it: before it takes effect, or once it has. */
export function failingStorage(
  failAt: number,
  after: boolean,
  storage: TableStorage = diskTableStorage,
): TableStorage & { readonly writes: () => number } {
  let writes = 0;
  const guarded =
    <A extends unknown[], R>(operation: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const mine = writes++;
      if (mine > failAt || (mine === failAt && !after)) throw new Error("power cut");
      const result = await operation(...args);
      if (mine === failAt) throw new Error("power cut");
      return result;
    };
  return {
    ...storage,
    writes: () => writes,
    putIfAbsent: guarded(storage.putIfAbsent),
    replace: guarded(storage.replace),
    publish: guarded(storage.publish),
    remove: guarded(storage.remove),
    makeFolder: guarded(storage.makeFolder),
  };
}
