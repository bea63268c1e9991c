/** Judges the subjects that `world.json` has, fifty times a second, and tells a receiver: to be killed at any moment. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../dist/base/clock.js";
import { alert, webhook } from "../../dist/index.js";
import { AlertStore } from "../../dist/monitor/alerts/alert-store.js";
import { Alerts } from "../../dist/platform/monitoring/alerts.js";
import { openFileRegistry } from "../../dist/registry/file-registry.js";

const [, , dataDir, url] = process.argv;
const registry = await openFileRegistry(join(dataDir, "registry"), { clock: systemClock });
const hook = webhook("hook", { url, timeout: "200ms" });
await registry.apply([hook, alert("rule", { on: "skew", keepFiring: "1us", cooldown: "1us", to: hook })]);
const signals = async (nowMicros) => {
  const world = JSON.parse(await readFile(join(dataDir, "world.json"), "utf8"));
  return Object.entries(world).map(([source, isBeyond]) => ({
    kind: "skew",
    subject: { source },
    measure: "mismatches",
    value: Number(isBeyond),
    threshold: 0,
    isBeyond,
    pValue: null,
    samples: 1,
    windowStartMicros: nowMicros,
    windowEndMicros: nowMicros,
    detail: {},
  }));
};
const store = await AlertStore.open(dataDir, systemClock.now());
const alerts = new Alerts(
  {
    store,
    registry,
    clock: systemClock,
    sources: [{ name: "world", source: { signals } }],
    builder: { start: () => Promise.reject(new Error("none")), look: () => Promise.reject(new Error("none")) },
  },
  { everyMicros: 20_000, onTrouble: (error) => console.error(error) },
);
alerts.start();
// What is on the interval keeps no process alive.
setInterval(() => {}, 1000);
console.log("ready");
