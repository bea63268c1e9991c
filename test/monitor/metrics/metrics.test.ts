/** The metrics of a platform that is used: over HTTP, in the text format, with the numbers of what was done. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import { count, entity, last, service, stream, t, view } from "../../../src/index.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import type { HttpServer } from "../../../src/serve/http.ts";

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { ride_id: t.string(), rider_id: t.string(), at: t.timestamp(), stars: t.int64().nullable() },
  eventTime: "at",
  id: "ride_id",
});
const riderRides = view("rider_rides", {
  version: 1,
  entity: rider,
  source: rides,
  features: { rides: count(), stars: last("stars") },
});
const definitions = [rider, rides, riderRides, service("model", { features: [riderRides] })];

let folder: string;
let platform: Platform;
let server: HttpServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  platform = await openPlatform({ dataDir: folder, definitions });
  await platform.apply(definitions);
  server = await platform.serve({ port: 0 });
});
afterEach(async () => {
  await server.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

/** Value by metric and labels, as a scraper reads them; a line it could not read fails. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const answer = await fetch(`${server.url}/metrics`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const samples = new Map<string, number>();
  for (const line of (await answer.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, value] = /^([a-z_]+(?:\{(?:[a-z_]+="[^"]*",?)+\})?) ([-+\d.e]+|NaN)$/.exec(line) ?? [];
    expect(name, line).toBeDefined();
    expect(samples.has(name!), `twice: ${name}`).toBe(false);
    samples.set(name!, Number(value));
  }
  return samples;
}

async function post(path: string, body: unknown): Promise<number> {
  return (await fetch(`${server.url}${path}`, { method: "POST", body: JSON.stringify(body) })).status;
}

describe("GET /metrics", () => {
  it("counts events, dead letters, vectors, statuses, requests and errors", async () => {
    const ride = (id: string): object => ({ ride_id: id, rider_id: "ana", at: new Date().toISOString(), stars: null });
    const late = { ...ride("2"), at: "2026-01-01T00:00:00Z" };
    await post("/events/rides", [ride("1"), late, late, { ...late, stars: 5 }, { ...ride("3"), stars: "many" }]);
    await post("/services/model/vector", { entities: { rider_id: "ana" } });
    await post("/services/model/vector", { entities: { rider_id: "nobody" } });
    await post("/features", { entity_type: "driver", entity_id: "x" });
    await platform.settle();
    const samples = await scrape();
    const seen = (...names: string[]): Record<string, number | undefined> =>
      Object.fromEntries(names.map((name) => [name, samples.get(name)]));
    const expected = {
      'onefold_events_total{source="rides",outcome="accepted"}': 2,
      'onefold_events_total{source="rides",outcome="duplicate"}': 2,
      'onefold_events_total{source="rides",outcome="rejected"}': 1,
      'onefold_duplicates_differing_total{source="rides"}': 1,
      'onefold_events_late_total{source="rides"}': 1,
      'onefold_events_out_of_order_total{source="rides"}': 1,
      'onefold_events_folded_total{view="rider_rides@1"}': 2,
      'onefold_dead_letters_total{source="rides",stage="door",code="TYPE_MISMATCH"}': 1,
      'onefold_dead_letters_open{source="rides"}': 1,
      'onefold_dead_letters_dropped_total{source="rides"}': 0,
      'onefold_vectors_total{service="model"}': 2,
      'onefold_vector_seconds_count{service="model"}': 2,
      'onefold_feature_values_total{status="PRESENT"}': 1,
      'onefold_feature_values_total{status="NULL_VALUE"}': 1,
      'onefold_feature_values_total{status="NOT_FOUND"}': 2,
      'onefold_http_requests_total{method="POST",route="/services/{name}/vector",status="200"}': 2,
      'onefold_http_requests_total{method="POST",route="/features",status="404"}': 1,
      'onefold_errors_total{code="ENTITY_UNKNOWN"}': 1,
      'onefold_pending_rows{source="rides"}': 0,
      'onefold_fold_lag_events{view="rider_rides@1"}': 0,
      'onefold_unflushed_states{view="rider_rides@1"}': 0,
      'onefold_archive_lag_events{source="rides"}': 0,
      'onefold_offline_rows_total{table="events/rides"}': 2,
      'onefold_source_up{source="rides"}': 1,
      'onefold_pipeline_age_seconds{view="rider_rides@1"}': 0,
      'onefold_view_entities{view="rider_rides@1"}': 1,
      'onefold_entities_by_age{view="rider_rides@1",up_to="+Inf"}': 1,
      'onefold_event_servable_seconds_count{source="rides"}': 2,
      'onefold_fold_seconds_count{source="rides"}': 1,
      'onefold_append_seconds_count{source="rides"}': 1,
      'onefold_feature_reads_total{view="rider_rides@1",feature="stars",consumer=""}': 2,
      'onefold_consumer_vectors_total{service="model",consumer=""}': 2,
    };
    expect(seen(...Object.keys(expected))).toEqual(expected);
    expect(samples.get('onefold_flush_seconds_count{source="rides"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_flushed_states_total{source="rides"}')).toBeGreaterThan(0);
    expect(samples.get("onefold_online_store_bytes")).toBeGreaterThan(0);
    expect(samples.get('onefold_disk_bytes{store="log"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_view_state_bytes{view="rider_rides@1"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_view_cpu_seconds_total{view="rider_rides@1",stage="fold"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_view_cpu_seconds_total{view="rider_rides@1",stage="encode"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_view_written_bytes_total{view="rider_rides@1"}')).toBeGreaterThan(0);
    expect(samples.get('onefold_source_silence_seconds{source="rides"}')).toBeLessThan(120);
    expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(1e7);
    expect(samples.get('onefold_fold_lag_seconds{view="rider_rides@1"}')).toBeLessThan(60);
  });

  it("stays the same from scrape to scrape where nothing happens, and the channels are left when it closes", async () => {
    const first = await scrape();
    const second = await scrape();
    const gauges = ["onefold_pending_rows", "onefold_dead_letters_dropped_total", "onefold_source_up"];
    for (const name of gauges) {
      const key = `${name}{source="rides"}`;
      expect(second.get(key), key).toBe(first.get(key));
    }
    expect(diagnostics.served.hasSubscribers).toBe(true);
    await server.close();
    await platform.close();
    expect(Object.values(diagnostics).filter((channel) => channel.hasSubscribers)).toEqual([]);
  });
});
