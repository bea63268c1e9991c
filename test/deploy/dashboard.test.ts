/**
 * The dashboard, as far as it can be looked at without Grafana, which no registry has a package of: it is a dashboard by the
 * types that Grafana publishes, its panels do not lie over each other, and what it asks for is there. That Prometheus
 * answers each of its expressions with data `prometheus.test.ts` has it show.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { openPlatform } from "../../src/platform.ts";
import { declaredMetrics, metricsIn } from "./used-metrics.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
}

const dashboard = JSON.parse(await readFile(join(deploy, "grafana", "onefold.json"), "utf8")) as {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
};

describe("the dashboard", () => {
  it("has what Grafana's import needs, and no panel over another", () => {
    expect(dashboard).toMatchObject({ uid: "onefold", title: "Onefold", schemaVersion: 39 });
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ["datasource", "datasource"],
      ["instance", "query"],
    ]);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const taken = new Map<string, string>();
    for (const { title, type, gridPos, datasource, targets = [] } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), title).toBe(undefined);
          taken.set(`${x} ${y}`, title);
        }
      }
      if (type === "row") continue;
      expect(datasource?.uid, title).toBe("${datasource}");
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
      for (const { expr, legendFormat } of targets) {
        expect(expr, title).toContain('{instance=~"$instance"}');
        // What a line is called stands among what the expression keeps.
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(expr, title).toContain(label!);
      }
    }
  });

  it("is one by Grafana's own types", { timeout: 120_000 }, async () => {
    const root = join(deploy, "..");
    await mkdir(join(root, ".cache"), { recursive: true });
    const folder = await mkdtemp(join(root, ".cache", "dashboard-"));
    try {
      // JSON has the values of enumerations, not their names.
      const head = `import type { Dashboard } from "@grafana/schema";
type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
export const dashboard: Plain<Dashboard> = `;
      const json = await readFile(join(deploy, "grafana", "onefold.json"), "utf8");
      await writeFile(join(folder, "dashboard.ts"), head + json);
      // One that is none is found: there is no such member.
      const wrong = json.replace('"graphTooltip"', '"tooltips"');
      await writeFile(join(folder, "wrong.ts"), head + wrong);
      const args = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "",
      ];
      const files = ["dashboard.ts", "wrong.ts"];
      const tsc = join(root, "node_modules", ".bin", "tsc");
      const said = await promisify(execFile)(tsc, [...args, ...files], { cwd: folder }).catch(
        ({ stdout }: { stdout: string }) => ({ stdout }),
      );
      const faults = said.stdout.split("\n").filter((line) => line.includes("error TS"));
      expect(faults.filter((line) => !line.startsWith("wrong.ts"))).toEqual([]);
      expect(faults).toEqual([expect.stringContaining('"tooltips"')]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("and the rules ask for metrics that a server shows", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-"));
    const platform = await openPlatform({ dataDir: folder });
    const server = await platform.serve({ port: 0 });
    try {
      const shown = declaredMetrics(await (await fetch(`${server.url}/metrics`)).text());
      const asked = dashboard.panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)));
      const rules = await readFile(join(deploy, "prometheus", "onefold-rules.yml"), "utf8");
      const expressions = [...rules.matchAll(/^ +expr: (.*)$/gm)].flatMap(([, expr]) => metricsIn(expr!));
      expect(asked.length).toBeGreaterThan(30);
      expect(expressions.length).toBeGreaterThan(20);
      expect([...new Set([...asked, ...expressions])].filter((name) => !shown.has(name))).toEqual([]);
    } finally {
      await server.close();
      await platform.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
