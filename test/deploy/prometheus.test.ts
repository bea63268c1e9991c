/** `deploy/prometheus` in the real programs: what they check is right, and a rule fires at what a real server shows. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { count, entity, service, stream, t, view } from "../../src/index.ts";
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

  it("reads every expression of the dashboard", async () => {
    const { panels } = JSON.parse(await read("grafana", "onefold.json")) as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    // As Grafana fills them in.
    const filled = expressions.map((expr) => expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*"));
    const rules = filled.map((expr, i) => ({ record: `panel:${i}`, expr }));
    const checked = await promtool(["check", "rules", "rules.yml"], {
      "rules.yml": JSON.stringify({ groups: [{ name: "dashboard", rules }] }),
    });
    expect(checked).toContain(`${expressions.length} rules found`);
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
