/**
 * Run as a process of its own and killed: pushes payment after payment, from the first one whose id the
 * source does not know, in batches and concurrently, and says on stdout how many are acknowledged.
 */
import { join } from "node:path";
import { diskStorage } from "../../src/ingest/disk-storage.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { openPayments, payment, TestClock } from "./payments.ts";

const folder = process.argv[2]!;
const store = openLmdbStore({ folder: join(folder, "online") });
const pipeline = await openPayments(
  { storage: diskStorage, store, clock: new TestClock() },
  { folder, segmentBytesMax: 20_000 },
);
for (let next = 0; ; next += 30) {
  const pushes = [0, 10, 20].map((start) =>
    pipeline.push(Array.from({ length: 10 }, (_, i) => payment(next + start + i))),
  );
  await Promise.all(pushes);
  process.stdout.write(`${next + 30}\n`);
}
