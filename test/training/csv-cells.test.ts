import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { entity, last, lastK, openPlatform, service, stream, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";

it("bytes and lists stand in a CSV file as a request carries them: features, and columns of labels", async () => {
  const folder = await mkdtemp(join(tmpdir(), "onefold-csv-cells-"));
  const user = entity("user", { user: t.string() });
  const scans = stream("scans", {
    columns: { user: t.string(), at: t.timestamp(), image: t.bytes() },
    eventTime: "at",
  });
  const scanned = view("scanned", {
    entity: user,
    source: scans,
    features: { image: last("image"), images: lastK("image", 2) },
  });
  const definitions = [user, scans, scanned, service("model", { features: [scanned] })];
  const platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  try {
    await platform.apply(definitions);
    const at = "2026-03-01T00:00:00Z";
    await platform.push("scans", [
      { user: "ada", at, image: "AP8=" },
      { user: "ada", at, image: "Ig==" },
    ]);
    const labels = join(folder, "labels.parquet");
    const engine = await openDuckDb();
    await engine.run(
      `COPY (SELECT 'ada' AS user, '2026-12-01T00:00:00Z'::TIMESTAMPTZ AS t, '\\x00\\xFF'::BLOB AS seen) TO '${labels}' (FORMAT parquet)`,
    );
    await engine.close();
    const options = { service: "model", boundary: "inclusive", allowAfterLog: true } as const;
    const out = join(folder, "set.csv");
    await platform.train({ ...options, labels, out });
    const [, row] = (await readFile(out, "utf8")).split("\n");
    expect(row).toMatch(/^ada,[^,]+,AP8=,Ig==,"\[""AP8="",""Ig==""\]",/);
    // And are read back so.
    await writeFile(join(folder, "again.csv"), "user,t,seen\nada,2026-12-01T00:00:00Z,AP8=\n");
    await platform.train({ ...options, labels: join(folder, "again.csv"), out });
    expect(await readFile(out, "utf8")).toContain(",AP8=,Ig==,");
  } finally {
    await platform.close();
    await rm(folder, { recursive: true });
  }
});
