/**
 * One measurement in a process of its own, so that its peak memory is its own: `measured.mjs JSON`. Prints seconds
 * from opening the engine or the platform to the written file, and the peak of resident memory.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Onefold from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { referenceSql, type SqlForm } from "./reference-sql.ts";
import { SERVICES, type Workload } from "./workload.ts";

export interface Measurement {
  readonly what: keyof typeof SERVICES | SqlForm;
  readonly workload: Workload;
  readonly out: string;
  /** Of `train`. */
  readonly limits?: Pick<Parameters<Onefold.Platform["train"]>[0], "threads" | "memoryBytes" | "resume">;
}

export interface Measured {
  readonly seconds: number;
  /** Of all threads together. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** As it is installed: what is bundled into this file has no threads to start. */
const { openPlatform } = (await import(pathToFileURL(join(process.cwd(), "dist", "index.js")).href)) as typeof Onefold;
const { what, workload, out, limits } = JSON.parse(process.argv[2]!) as Measurement;
const began = performance.now();
if (what === "windows" || what === "latest") {
  const platform = await openPlatform({ dataDir: workload.dataDir, mode: "read" });
  await platform.train({
    service: SERVICES[what],
    labels: workload.labelFile,
    out,
    boundary: "inclusive",
    allowAfterLog: false,
    ...limits,
  });
  await platform.close();
} else {
  const engine = await openDuckDb({});
  await engine.run(referenceSql(what, workload, out));
  await engine.close();
}
const seconds = (performance.now() - began) / 1000;
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
const measured: Measured = { seconds, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakBytes: maxRSS * 1024 };
console.log(JSON.stringify(measured));
