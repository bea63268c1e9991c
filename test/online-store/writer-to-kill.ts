/**
 * Run as a process of its own and killed: commits generation after generation, each rewriting every key
 * and the meta with the generation's number, and says on stdout which ones resolved.
 */
import { openLmdbStore } from "../../src/online-store/lmdb.ts";

const store = openLmdbStore({ folder: process.argv[2]! });
const keys = Number(process.argv[3]);
const start = store.getMeta("generation");
let generation = start === null ? 0 : Buffer.from(start).readUInt32LE(0);
for (;;) {
  generation++;
  const bytes = new Uint8Array(4 + (generation % 3000));
  new DataView(bytes.buffer).setUint32(0, generation, true);
  const states = Array.from({ length: keys }, (_, i) => ({
    space: "v@1#0",
    key: `k${i}`,
    epoch: 0,
    offset: generation,
    bytes,
  }));
  await store.commitAlone(states, [{ name: "generation", bytes: bytes.slice(0, 4) }]);
  process.stdout.write(`${generation}\n`);
}
