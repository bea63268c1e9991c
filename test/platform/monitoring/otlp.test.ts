/** Metrics over OTLP, by OpenTelemetry's own exporter, into a receiver that decodes what it is sent. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import type { OnefoldError } from "../../../src/base/errors.ts";
import { formatMicros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, service, stream, sum, t, view } from "../../../src/index.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import { type OtlpExport, startOtlpExport } from "../../../src/platform/monitoring/otlp/otlp-export.ts";
import { asPage, OtlpReceiver } from "./otlp-receiver.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const WAIT = { timeout: 30_000, interval: 20 };

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), fare: t.float64() },
  eventTime: "at",
});
const fares = view("fares", { entity: rider, source: rides, features: { rides: count(), fare: sum("fare") } });
const definitions = [rider, rides, fares, service("model", { features: [fares] })];

/** What changes from one look to the next although nothing happens. */
const RESTLESS = /^(process_|onefold_(disk_bytes|online_store_bytes|view_cpu|archive_lag|unflushed))/;

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let receiver: OtlpReceiver;
let sending: OtlpExport | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-otlp-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
  receiver = await OtlpReceiver.open();
});
afterEach(async () => {
  await sending?.close();
  sending = null;
  await receiver.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

/** Lines of the page as the receiver's are written. */
function linesOf(page: string): string[] {
  return page
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name, inside = "", value] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line)!;
      const labels =
        inside === ""
          ? ""
          : `{${inside
              .split(/,(?=\w+=")/)
              .toSorted()
              .join(",")}}`;
      return `${name}${labels} ${Number(value)}`;
    })
    .toSorted();
}

describe("metrics over OTLP", () => {
  it("are those of the page, line by line", async () => {
    const server = await platform.serve({ port: 0 });
    for (let i = 0; i < 20; i++) {
      await platform.push("rides", [{ rider_id: `r${i % 3}`, at: formatMicros(clock.now()), fare: 1.5 * i }]);
      const body = JSON.stringify({ entities: { rider_id: `r${i % 4}` } });
      const headers = { "content-type": "application/json", "x-onefold-consumer": "checkout" };
      await fetch(`${server.url}/services/model/vector`, { method: "POST", body, headers });
    }
    await platform.settle();
    const started = clock.now();
    sending = await startOtlpExport({ url: receiver.url, everyMs: 50 }, platform);
    const settled = (lines: readonly string[]) => lines.filter((line) => !RESTLESS.test(line));
    await expect
      .poll(async () => {
        const page = linesOf(String(await platform.request("GET", "/metrics")));
        const sent = receiver.requests.at(-1);
        return sent === undefined ? null : { sent: settled(asPage(sent)), page: settled(page) };
      }, WAIT)
      .toSatisfy((both: { sent: string[]; page: string[] } | null) => {
        return both !== null && JSON.stringify(both.sent) === JSON.stringify(both.page);
      });
    const { path, headers, resource, metrics } = receiver.requests.at(-1)!;
    expect(path).toBe("/v1/metrics");
    expect(headers["content-type"]).toContain("application/json");
    expect(resource).toMatchObject({ "service.name": "onefold", "service.version": expect.any(String) });
    const of = (name: string) => metrics.find((metric) => metric.name === name)!;
    const vectors = of("onefold_consumer_vectors_total");
    expect(vectors.sum).toMatchObject({ aggregationTemporality: 2, isMonotonic: true });
    expect(
      vectors.sum!.dataPoints.find(({ attributes }) => attributes.some((one) => one.value.stringValue === "checkout")),
    ).toMatchObject({ asDouble: 20 });
    const [point] = vectors.sum!.dataPoints;
    expect(BigInt(point!.startTimeUnixNano)).toBe(BigInt(started) * 1000n);
    const latency = of("onefold_http_request_seconds");
    expect(latency).toMatchObject({ unit: "s", histogram: { aggregationTemporality: 2 } });
    const { bucketCounts, explicitBounds, count: answered } = latency.histogram!.dataPoints[0]!;
    expect(bucketCounts).toHaveLength(explicitBounds!.length + 1);
    expect(bucketCounts!.reduce((total, one) => total + one, 0)).toBe(answered);
    expect(of("onefold_view_state_bytes")).toMatchObject({ unit: "By", gauge: expect.anything() });
    await server.close();
  });

  it("are sent once more at the end, and of failures the first of each run is told", async () => {
    const errors: OnefoldError[] = [];
    receiver.status = 400;
    const onError = (error: OnefoldError): void => void errors.push(error);
    sending = await startOtlpExport({ url: `${receiver.url}/mine/metrics`, everyMs: 30, onError }, platform);
    await expect.poll(() => receiver.requests.length, WAIT).toBeGreaterThan(2);
    expect(errors.map(({ code, where }) => [code, where])).toEqual([
      ["DELIVERY_FAILED", `${receiver.url}/mine/metrics`],
    ]);
    receiver.status = 200;
    const before = receiver.requests.length;
    await expect.poll(() => receiver.requests.length, WAIT).toBeGreaterThan(before + 2);
    receiver.status = 400;
    await expect.poll(() => errors.length, WAIT).toBe(2);
    await sending.close();
    sending = await startOtlpExport({ url: receiver.url, everyMs: 3_600_000 }, platform);
    receiver.requests.length = 0;
    await sending.close();
    expect(receiver.requests).toHaveLength(1);
    await expect(startOtlpExport({ url: "collector:4318" }, platform)).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
  });
});
