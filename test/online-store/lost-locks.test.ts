/** Whoever opens LMDB in the moment that its last user closes it has no locks, and is told to try again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";

/** A process-shared, robust mutex of glibc's: its kind, and how many bytes behind its beginning that stands. */
const KIND = 0x90;
const DESTROYED = Buffer.from([0xff, 0xff, 0xff, 0xff]);
const HEAD_BYTES = 512;

describe.runIf(process.platform === "linux" && "glibcVersionRuntime" in (process.report.getReport() as any).header)(
  "an online store whose locks were taken along",
  () => {
    it("is refused with what to do, and opened by the next", async () => {
      const folder = mkdtempSync(join(tmpdir(), "onefold-lost-locks-"));
      const program = `import { open } from "lmdb";
        const database = open({ path: ${JSON.stringify(folder)}, noSubdir: false, encoding: "binary" });
        database.putSync("a", Buffer.from("1"));
        console.log("open");
        setInterval(() => {}, 1000);`;
      // Else whoever opens it is the first, and makes the locks anew.
      const other = spawn(process.execPath, ["--input-type=module", "--eval", program], {
        cwd: import.meta.dirname,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(other, "exit");
      try {
        await once(other.stdout, "data");
        const file = openSync(join(folder, "lock.mdb"), "r+");
        const head = readFileSync(join(folder, "lock.mdb")).subarray(0, HEAD_BYTES);
        const kinds = Array.from({ length: HEAD_BYTES / 4 }, (_, i) => 4 * i).filter(
          (at) => head.readInt32LE(at) === KIND,
        );
        expect(kinds.length).toBeGreaterThan(0);
        for (const at of kinds) writeSync(file, DESTROYED, 0, 4, at);
        expect(() => openLmdbStore({ folder, readOnly: true })).toThrow(
          expect.objectContaining({ code: "STORAGE_FAILED", hint: expect.stringMatching(/^run it again/) }),
        );
        for (const at of kinds) writeSync(file, head, at, 4, at);
        closeSync(file);
        await openLmdbStore({ folder, readOnly: true }).close();
      } finally {
        other.kill();
        await ended;
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);
