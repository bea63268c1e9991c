/** `onefold` with a registry in PostgreSQL, in processes of their own: apply beside running servers, and at once. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere, shared } from "../services/describe-where.ts";
import { newDatabase } from "../services/postgres.ts";
import { cliPath, runCli, runJson } from "./run-cli.ts";
import { promised } from "../promised.ts";

const NOTICED_MS = promised(2000);

const BASE = `import { count, entity, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
export const totals = view("totals", { entity: user, source: visits, features: { visits: count() } });
export const visitor = service("visitor", { features: [totals] });
`;
const MORE = `export const spending = view("spending", {
  entity: user, source: visits, features: { spent: sum("spent") },
});
export const spender = service("spender", { features: [totals, spending] });
`;

const describePostgres = await describeWhere("postgres");

describePostgres("onefold with a shared registry", () => {
  let folder: string;
  let url: string;
  const servers: ChildProcess[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "onefold-shared-registry-"));
    url = await newDatabase(await shared("postgres"));
    for (const [name, text] of Object.entries({ base: BASE, more: BASE + MORE })) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "features.ts"), text);
    }
  });
  afterAll(async () => {
    for (const server of servers) {
      const ended = once(server, "close");
      server.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  async function serve(name: string, more: readonly string[]): Promise<string> {
    const args = ["serve", "--port", "0", "--json", "--data", join(folder, `${name}-data`), ...more];
    const server = spawn(process.execPath, [cliPath, ...args], {
      cwd: join(folder, "base"),
      // Not on the command line, where everybody on the machine could read the password.
      env: { ...process.env, ONEFOLD_REGISTRY: url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    servers.push(server);
    const [line] = (await once(server.stdout!, "data")) as [Buffer];
    return (JSON.parse(String(line)) as { url: string }).url;
  }

  async function ask(server: string, path: string, body: object): Promise<Record<string, any>> {
    const response = await fetch(`${server}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, any>;
  }

  it("applies beside a server and a server of workers, which serve it within 2 seconds", async () => {
    expect((await runJson(["apply", "--registry", url], join(folder, "base"))).exitCode).toBe(0);
    const urls = [await serve("alone", []), await serve("workers", ["--workers", "2"])];
    for (const server of urls) {
      const row = { user_id: "a", at: new Date(Date.now() - 1000).toISOString(), spent: 5 };
      expect(await ask(server, "/events/visits", [row, row])).toMatchObject({ accepted: 2 });
      await expect
        .poll(async () => (await ask(server, "/services/visitor/vector", { entities: { user_id: "a" } })).features)
        .toEqual({ visits: 2 });
      expect((await ask(server, "/services/spender/vector", { entities: { user_id: "a" } })).error.code).toBe(
        "SERVICE_UNKNOWN",
      );
    }
    const { exitCode, result } = await runJson(["apply", "--registry", url], join(folder, "more"));
    expect([exitCode, result["dirty"]]).toEqual([0, true]);
    const noticed = performance.now();
    for (const server of urls) {
      await expect
        .poll(async () => (await ask(server, "/services/spender/vector", { entities: { user_id: "a" } })).features, {
          timeout: NOTICED_MS - (performance.now() - noticed),
          interval: 10,
        })
        .toEqual({ visits: 2, spent: 10 });
    }
    // From now on by every worker, not only by the one that was asked.
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(urls[1]!, "/services/spender/vector", { entities: { user_id: "a" } })),
    );
    for (const { features } of answers) expect(features).toEqual({ visits: 2, spent: 10 });
  });

  it("takes applies of two processes at once, and loses neither", async () => {
    const names = ["left", "right"];
    for (const name of names) {
      mkdirSync(join(folder, name));
      writeFileSync(
        join(folder, name, "features.ts"),
        `${BASE}export const own = service("${name}", { features: [totals.prefix("${name}_")] });\n`,
      );
    }
    const database = await newDatabase(await shared("postgres"));
    const applied = await Promise.all(
      names.map((name) => runJson(["apply", "--registry", database], join(folder, name))),
    );
    for (const { exitCode, result } of applied) expect([exitCode, result["dirty"]]).toEqual([0, true]);
    const listed = await runJson(["services", "--registry", database], join(folder, "base"));
    const services = listed.result["services"] as { readonly service: string }[];
    expect(services.map(({ service }) => service).sort()).toEqual(["left", "right", "visitor"]);
  });

  it("says what is wrong with the address, without the password", async () => {
    const wrong = new URL(url);
    wrong.password = "hush-hush";
    for (const args of [["apply"], ["serve", "--port", "0"], ["services"]]) {
      const { exitCode, stdout, stderr } = await runCli(
        [...args, "--debug", "--data", join(folder, "x"), "--registry", wrong.href],
        join(folder, "base"),
      );
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^REGISTRY_DENIED: the registry does not let this user in: password authentication failed/m,
      );
      expect(stdout + stderr).not.toContain("hush-hush");
    }
  });
});
