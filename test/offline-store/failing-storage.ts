/** A table's storage that loses its power at a chosen write. */
import { diskTableStorage, type TableStorage } from "../../src/offline-store/table-storage.ts";

/** Fails the n-th write (counted from 0) and all after it: before it takes effect, or once it has. */
export function failingStorage(failAt: number, after: boolean): TableStorage & { readonly writes: () => number } {
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
    ...diskTableStorage,
    writes: () => writes,
    putIfAbsent: guarded(diskTableStorage.putIfAbsent),
    replace: guarded(diskTableStorage.replace),
    publish: guarded(diskTableStorage.publish),
    remove: guarded(diskTableStorage.remove),
    makeFolder: guarded(diskTableStorage.makeFolder),
  };
}
