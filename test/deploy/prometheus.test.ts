/** `deploy/prometheus` in the real programs: what they check is right, and a rule fires at what a real server shows. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { count, entity, expectation, service, stream, t, view, webhook } from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";
import { describeWhere } from "../services/describe-where.ts";
import { promtool, startPrometheus } from "../services/prometheus.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");
const read = (...path: string[]): Promise<string> => readFile(join(deploy, ...path), "utf8");

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp() },
  eventTime: "at",
  sla: { silence: "2s" },
});
const riderRides = view("rider_rides", { entity: rider, source: rides, features: { rides: count() } });
const definitions = [rider, rides, riderRides, service("model", { features: [riderRides] })];

const hook = webhook("hook", { url: "http://127.0.0.1:9/" });
const taxis = stream("taxis", {
  columns: { id: t.string(), rider_id: t.string(), at: t.timestamp() },
  eventTime: "at",
  id: "id",
  sla: { silence: "2s" },
  expect: [expectation({ arrivalRate: { min: 1, per: "1h" } })],
});
const riderTaxis = view("rider_taxis", {
  entity: rider,
  source: taxis,
  features: { taxis: count().over("1h") },
  sla: { pipelineAge: "30s", entityAge: "1d" },
});
const busyDefinitions = [rider, taxis, riderTaxis, service("taxi_model", { features: [riderTaxis] }), hook];

/** To which, with each call, all happens that the dashboard shows. */
async function openBusyServer() {
  const folder = await mkdtemp(join(tmpdir(), "onefold-"));
  const platform = await openPlatform({
    dataDir: folder,
    definitions: busyDefinitions,
    servingLogSampleRate: 1,
    checkMillis: 500,
    auditMillis: 500,
    alerts: { everyMicros: 500_000 },
  });
  await platform.apply(busyDefinitions);
  const server = await platform.serve({ port: 0 });
  const post = (path: string, body: object): Promise<Response> =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-onefold-consumer": "web" },
      body: JSON.stringify(body),
    });
  let count = 0;
  return {
    url: server.url,
    happen: async (): Promise<void> => {
      const id = `t${count++}`;
      const taxi = (more: object) => ({ id, rider_id: "ana", at: new Date().toISOString(), ...more });
      const late = taxi({ id: `late${id}`, at: new Date(Date.now() - 7_200_000).toISOString() });
      // One that is late, one that comes twice, one that is dead.
      await post("/events/taxis", [taxi({}), late]);
      await post("/events/taxis", [taxi({}), taxi({ id: `dead${id}`, at: "soon" })]);
      await post("/services/taxi_model/vector", { entities: { rider_id: "ana" } });
      await post("/services/nobody/vector", { entities: {} });
    },
    close: async (): Promise<void> => {
      await server.close();
      await platform.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const describePrometheus = await describeWhere("prometheus", { ours: true });

describePrometheus("Prometheus", () => {
  it("finds its configuration and rules right, and the rules do what their tests say", async () => {
    const files = {
      "prometheus.yml": await read("prometheus", "prometheus.yml"),
      "onefold-rules.yml": await read("prometheus", "onefold-rules.yml"),
      "rules.test.yml": await read("prometheus", "onefold-rules.test.yml"),
    };
    expect(await promtool(["check", "config", "prometheus.yml"], files)).toContain("valid prometheus config");
    expect(await promtool(["test", "rules", "rules.test.yml"], files)).toContain("SUCCESS");
    // One that is not so is found.
    const broken = { ...files, "rules.test.yml": files["rules.test.yml"].replace("value: 0.0319", "value: 0.5") };
    await expect(promtool(["test", "rules", "rules.test.yml"], broken)).rejects.toThrow();
  });

  it("answers every expression of the dashboard with data, of a server to which everything happens", async () => {
    const { panels } = JSON.parse(await read("grafana", "onefold.json")) as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThan(40);
    const busy = await openBusyServer();
    const config = (await read("prometheus", "prometheus.yml"))
      .replaceAll("15s", "1s")
      .replace("127.0.0.1:8080", new URL(busy.url).host);
    const rules = await read("prometheus", "onefold-rules.yml");
    const prometheus = await startPrometheus(config, { "onefold-rules.yml": rules });
    /** As Grafana fills them in, and asks. Whether any line has a point that can be drawn. */
    const hasData = async (expr: string): Promise<boolean> => {
      const text = expr.replaceAll("$__rate_interval", "10s").replaceAll("$instance", ".+");
      const end = Date.now() / 1000;
      const asked = new URLSearchParams({ query: text, start: String(end - 60), end: String(end), step: "1" });
      const { status, error, data } = await prometheus.api(`query_range?${asked}`);
      expect(status, `${expr}: ${error}`).toBe("success");
      return data.result.some(({ values }: { values: [number, string][] }) =>
        values.some(([, value]) => Number.isFinite(Number(value))),
      );
    };
    try {
      let missing = expressions;
      for (const untilMs = performance.now() + 120_000; missing.length > 0 && performance.now() < untilMs;) {
        await busy.happen();
        await sleep(250);
        const found = await Promise.all(missing.map(hasData));
        missing = missing.filter((_, i) => !found[i]);
      }
      expect(missing).toEqual([]);
      // One that asks for what is not there is found.
      expect(await hasData("sum by (view) (onefold_view_bytes)")).toBe(false);
    } finally {
      await prometheus.close();
      await busy.close();
    }
  });

  it("scrapes a server, finds no fault in its page, and fires the rule of a promise that is broken", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-"));
    const platform = await openPlatform({ dataDir: folder, definitions });
    await platform.apply(definitions);
    const server = await platform.serve({ port: 0 });
    const config = (await read("prometheus", "prometheus.yml"))
      .replaceAll("15s", "1s")
      .replace("127.0.0.1:8080", new URL(server.url).host);
    const rules = await read("prometheus", "onefold-rules.yml");
    const prometheus = await startPrometheus(config, { "onefold-rules.yml": rules });
    try {
      const asked = { method: "POST", headers: { "content-type": "application/json", "x-onefold-consumer": "web" } };
      const ask = (): Promise<unknown> =>
        fetch(`${server.url}/services/model/vector`, { ...asked, body: '{"entities":{"rider_id":"ana"}}' });
      await platform.push("rides", [{ rider_id: "ana", at: new Date().toISOString() }]);
      const firing = async (): Promise<
        readonly { readonly labels: Record<string, string>; readonly state: string }[]
      > => {
        await ask();
        const { data } = await prometheus.api("alerts");
        return data.alerts.filter(({ labels }: any) => labels.alertname === "OnefoldFreshnessBroken");
      };
      let alerts = await firing();
      for (const untilMs = performance.now() + 120_000; alerts.length === 0 && performance.now() < untilMs;) {
        await sleep(250);
        alerts = await firing();
      }
      expect(alerts).toMatchObject([
        { state: "firing", labels: { kind: "source-silence", source: "rides", severity: "warning" } },
      ]);
      const { data } = await prometheus.api("targets");
      expect(data.activeTargets).toMatchObject([{ health: "up", lastError: "" }]);
      const page = await (await fetch(`${server.url}/metrics`)).text();
      expect(await promtool(["check", "metrics"], {}, page)).toBe("");
      const query = async (text: string): Promise<number> => {
        const { data: found } = await prometheus.api(`query?query=${encodeURIComponent(text)}`);
        return Number(found.result[0]?.value[1]);
      };
      expect(
        await query('onefold_feature_reads_total{view="rider_rides@1",feature="rides",consumer="web"}'),
      ).toBeGreaterThan(0);
      // A quantile of recorded data: within the buckets, and no less than the median.
      const median = await query("histogram_quantile(0.5, onefold_vector_seconds_bucket)");
      expect(await query("histogram_quantile(0.999, onefold_vector_seconds_bucket)")).toBeGreaterThanOrEqual(median);
      expect(median).toBeGreaterThan(0);
    } finally {
      await prometheus.close();
      await server.close();
      await platform.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
