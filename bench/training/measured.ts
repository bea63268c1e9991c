/**
 * One measurement in a process of its own, so that its peak memory is its own: `measured.mjs JSON`. Prints seconds
 * from opening the engine or the platform to the written file, and the peak of resident memory.
 */
import { openPlatform } from "onefold";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { referenceSql, type SqlForm } from "./reference-sql.ts";
import { SERVICE, type Workload } from "./workload.ts";

export interface Measurement {
  readonly what: "train" | SqlForm;
  readonly workload: Workload;
  readonly out: string;
  readonly threads?: number;
}

export interface Measured {
  readonly seconds: number;
  readonly peakBytes: number;
}

const { what, workload, out, threads } = JSON.parse(process.argv[2]!) as Measurement;
const began = performance.now();
if (what === "train") {
  const platform = await openPlatform({ dataDir: workload.dataDir, mode: "read" });
  await platform.train({
    service: SERVICE,
    labels: workload.labelFile,
    out,
    boundary: "inclusive",
    allowAfterLog: false,
    ...(threads === undefined ? {} : { threads }),
  } as Parameters<typeof platform.train>[0]);
  await platform.close();
} else {
  const engine = await openDuckDb({});
  await engine.run(referenceSql(what, workload, out));
  await engine.close();
}
const seconds = (performance.now() - began) / 1000;
const measured: Measured = { seconds, peakBytes: process.resourceUsage().maxRSS * 1024 };
console.log(JSON.stringify(measured));
