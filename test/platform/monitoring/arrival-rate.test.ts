import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, MICROS_PER_DAY, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, expectation, openPlatform, stream, t, view } from "../../../src/index.ts";

const START = parseMicros("2026-03-01T00:00:00Z");

it.each(["1h", "1s", "1ms"] as const)("how many events come in each %s is judged over days", async (per) => {
  const expect1 = expectation({ arrivalRate: { min: 1, max: 1, per } });
  const pings = stream("pings", { columns: { k: t.string(), at: t.timestamp() }, eventTime: "at", expect: [expect1] });
  const key = entity("k", { k: t.string() });
  const definitions = [key, pings, view("v", { version: 1, entity: key, source: pings, features: { n: count() } })];
  const folder = await mkdtemp(join(tmpdir(), "onefold-arrival-"));
  const clock = new ReplayClock(START);
  const platform = await openPlatform({ dataDir: folder, clock, definitions });
  try {
    await platform.apply(definitions);
    clock.advanceTo((START + MICROS_PER_DAY + 1) as Micros);
    const at = formatMicros(clock.now());
    await platform.push("pings", [{ k: "a", at }]);
    await platform.push("pings", [
      { k: "b", at },
      { k: "c", at },
    ]);
    clock.advanceTo((START + 8 * MICROS_PER_DAY) as Micros);
    const server = await platform.serve({ port: 0 });
    const answer = await fetch(`${server.url}/quality?name=pings&day=2026-03-02`);
    const report = (await answer.json()) as any;
    await server.close();
    expect(answer.status, JSON.stringify(report)).toBe(200);
    const [judged] = report.subjects[0].expectations;
    const stretches = { "1h": 24, "1s": 86_400, "1ms": 86_400_000 }[per];
    expect(judged).toMatchObject({ met: false, samples: 3, failing: stretches, value: 0 });
  } finally {
    await platform.close();
    await rm(folder, { recursive: true });
  }
});
