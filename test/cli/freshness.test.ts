/** `onefold freshness` and `onefold features --by`: on a folder, and beside the server that owns it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, entity, last, service, stream, t, view } from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), stars: t.int64() },
  eventTime: "at",
  sla: { silence: "365d" },
});
const riderRides = view("rider_rides", {
  entity: rider,
  source: rides,
  features: { rides: count(), stars: last("stars") },
  sla: { pipelineAge: "1m", entityAge: { within: "1d", atLeast: 0.9 } },
});
const definitions = [rider, rides, riderRides, service("model", { features: [riderRides.pick("rides")] })];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("onefold freshness", () => {
  it("says what is promised and what is broken, of a server too; and features who uses them and what they cost", async () => {
    const platform = await openPlatform({ dataDir: join(folder, ".onefold"), definitions });
    await platform.apply(definitions);
    await platform.push("rides", [
      { rider_id: "ana", at: new Date().toISOString(), stars: 5 },
      { rider_id: "ben", at: "2020-01-01T00:00:00Z", stars: 4 },
    ]);
    const server = await platform.serve({ port: 0 });
    const headers = { "content-type": "application/json", "x-onefold-consumer": "checkout" };
    const body = JSON.stringify({ entities: { rider_id: "ana" } });
    await fetch(`${server.url}/services/model/vector`, { method: "POST", body, headers });
    const { exitCode, result } = await runJson(["freshness", "--url", server.url, "--oldest", "1"], folder);
    expect(exitCode).toBe(0);
    expect(result["sources"]).toMatchObject([{ source: "rides", silence_sla_seconds: { broken: false } }]);
    const [seen] = result["views"];
    expect(seen).toMatchObject({ view: "rider_rides@1", entities: 2, stale_ratio: 0.5, older_than_seconds: 86_400 });
    expect(seen.stale_ratio_sla).toMatchObject({ threshold: 0.1, broken: true });
    expect(seen.pipeline_age_sla_seconds).toMatchObject({ threshold: 60, broken: false });
    expect(seen.oldest_entities).toMatchObject([{ key: "ben", last_event_at: "2020-01-01T00:00:00Z" }]);
    await server.close();
    await platform.close();

    const text = await runCli(["freshness"], folder);
    expect(text.stdout).toMatch(/rides +\S+ +at most 365d +no/);
    expect(text.stdout).toMatch(/rider_rides@1 +0s +at most 1m +no +2 +1d +50\.00% +at most 10\.00% +since \S+/);

    const unused = await runJson(["features", "--unused"], folder);
    expect(unused.result["features"].map(({ feature }: { feature: string }) => feature)).toEqual(["stars"]);
    const by = await runJson(["features", "--by", "usage,cost"], folder);
    expect(by.result["features"]).toMatchObject([
      {
        feature: "rides",
        usage: { reads: 1, consumers: [{ consumer: "checkout", reads: 1 }] },
        cost: { view_events_folded: 2 },
      },
      { feature: "stars", usage: { reads: 0, last_read_on: null } },
    ]);
    const table = await runCli(["features", "--by", "usage"], folder);
    expect(table.stdout).toMatch(/rides .*1, last \d{4}-\d\d-\d\d: checkout 1/);
  });
});
