/** measure */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../src/testing/random.ts";
import { quietRun } from "./false-alarms/quiet-runs.ts";
import { servedFlights } from "./false-alarms/served-flights.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-false-alarms-"));
console.time("vectors");
const served = await servedFlights(folder, {
  start: "2001-03-20",
  trainFrom: "2001-04-01",
  cut: "2001-05-01",
  end: "2001-05-01",
  sampledSixteenths: 4,
});
console.timeEnd("vectors");
console.log(served.hours.length, served.columns.length);
for (const draw of ["vectors", "days", "calendar"] as const) {
  console.time(draw);
  const random = new SeededRandom(1);
  const total = { windows: 0, significant: 0, beyond: 0, alerts: 0, runs: 0, alarmed: 0 };
  const by = new Map<string, number>();
  for (let i = 0; i < Number(process.env["RUNS"] ?? 5); i++) {
    const run = await quietRun(served, { draw, random, baselineDays: 7, days: 2, vectors: 200, firstDay: i });
    total.runs++;
    total.windows += run.windows;
    total.significant += run.significant;
    total.beyond += run.beyond;
    total.alerts += run.alerts.length;
    if (run.alerts.length) total.alarmed++;
    for (const a of run.alerts) by.set(a, (by.get(a) ?? 0) + 1);
  }
  console.timeEnd(draw);
  console.log(draw, JSON.stringify(total), [...by].slice(0, 8).join(" "));
}
rmSync(folder, { recursive: true, force: true });
