/** `onefold promote`, `rollback`, `aliases` and `retire`, in processes of their own: with a folder to themselves, and beside a server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const FEATURES = `import { count, entity, service, stream, sum, t, view } from "onefold";
const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
export const first = view("totals", { entity: user, source: visits, features: { visits: count() } });
export const second = view("totals", {
  version: 2, entity: user, source: visits, features: { visits: count(), spent: sum("spent") },
});
export const visitor = service("visitor", { features: [first] });
export const visitor2 = service("visitor", { version: 2, features: [second] });
`;

let folder: string;
let server: ChildProcess | null = null;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "onefold-versions-"));
  writeFileSync(join(folder, "features.ts"), FEATURES);
  const { exitCode, stderr } = await runCli(["apply"], folder);
  if (exitCode !== 0) throw new Error(stderr);
});
afterAll(async () => {
  if (server !== null) {
    const ended = once(server, "close");
    server.kill("SIGTERM");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

const json = async (...args: string[]): Promise<Record<string, any>> => (await runJson(args, folder)).result;
const text = async (...args: string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await runCli(args, folder);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return stdout;
};

it("moves what a name means, and says who did and when", async () => {
  expect(await text("aliases")).toContain("no alias is set: a name alone means its highest version");
  expect(await text("promote", "visitor@1", "--from", "none", "--by", "ada")).toMatch(
    /^visitor@prod is visitor@1; what it left is kept until 20/,
  );
  expect((await json("promote", "visitor@2", "--from", "1", "--by", "bob", "--keep", "2d")).alias).toMatchObject({
    version: 2,
    former: 1,
    by: "bob",
  });
  expect(await text("promote", "visitor@2")).toBe("visitor@prod was already visitor@2\n");
  expect((await json("promote", "visitor@1", "--from", "none")).error).toMatchObject({
    code: "ALIAS_MOVED",
    message: expect.stringContaining("not nothing"),
  });
  expect((await json("rollback", "visitor")).alias).toMatchObject({ version: 1, by: expect.stringMatching(/./) });
  const shown = await json("aliases", "visitor");
  expect(shown.aliases).toHaveLength(1);
  expect(shown.moves.map((move: any) => [move.action, move.from, move.to, move.keep])).toEqual([
    ["promote", null, 1, "7d"],
    ["promote", 1, 2, "2d"],
    ["rollback", 2, 1, "7d"],
  ]);
  expect(await text("aliases", "visitor")).toMatch(/rollback\s+visitor@prod\s+2\s+1\s+7d/);
  const got = await json("get", "--service", "visitor", "--entity", "user_id=a");
  expect(Object.keys(got.features)).toEqual(["visits"]);
  expect((await json("services")).services.map((one: any) => [one.service, one.version])).toEqual([
    ["visitor", 1],
    ["visitor@2", 2],
  ]);
  expect(await text("describe", "visitor@2")).toMatch(/^service visitor@2\n/);
  expect(await text("describe", "visitor")).toMatch(/^service visitor\n/);
});

it("moves and retires beside a server, which answers by it from then on", async () => {
  server = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(server.stdout!, "data")) as [Buffer];
  const { url } = JSON.parse(String(line)) as { url: string };
  const ask = async (name: string): Promise<Record<string, any>> => {
    const response = await fetch(`${url}/services/${name}/vector`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-onefold-consumer": "web" },
      body: JSON.stringify({ entities: { user_id: "a" } }),
    });
    return (await response.json()) as Record<string, any>;
  };
  expect((await ask("visitor")).service).toBe("visitor");
  await json("promote", "visitor@2", "--keep", "0");
  expect((await ask("visitor")).service).toBe("visitor@2");
  await json("rollback", "visitor", "--keep", "0");
  expect((await ask("visitor")).service).toBe("visitor");
  const http = await fetch(`${url}/aliases/promote`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ target: "visitor@2", from: 1, by: "eve", keep: "0" }),
  });
  expect(await http.json()).toMatchObject({ moved: true, alias: { version: 2, by: "eve" } });

  const kept = await json("retire", "visitor@1");
  expect(kept.error).toMatchObject({ code: "STILL_READ" });
  expect(kept.error.message).toContain("it is kept until");
  expect(kept.error.message).toContain("the consumer web has read it");
  expect((await json("retire", "totals@1", "--dry-run")).readers).toEqual(["service visitor reads it"]);
  const refused = await runCli(["retire", "totals@1", "--force"], folder);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("service visitor reads it")]);
});
