/**
 * What npm packs is the whole of it: unpacked beside nothing but its dependencies, it does what a user's first day does, with
 * the processes and threads that it starts for that.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "onefold-packed-"));
const modules = join(folder, "node_modules");
const home = join(modules, "onefold");
const project = join(folder, "shop");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}

beforeAll(() => {
  const packing = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(execFileSync("npm", packing, { cwd: root, encoding: "utf8" }));
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", home, "--strip-components", "1"]);
  const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(modules, name, ".."), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
});

const command = join(home, "dist/cli/main.js");

function onefold(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: args[0] === "init" ? folder : project,
    encoding: "utf8",
  });
  expect(status, `onefold ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

const json = (...args: string[]): Record<string, any> => JSON.parse(onefold(...args, "--json"));

describe("the packed package", () => {
  it("has nothing in it twice, and no module that another file holds", () => {
    const built = readdirSync(join(home, "dist"), { recursive: true, encoding: "utf8" }).filter(
      (name) => name.endsWith(".js") && !name.startsWith("chunks"),
    );
    expect(built.toSorted()).toEqual([
      "base/starter-process.js",
      "cli/main.js",
      "client/index.js",
      "index.js",
      "offline-store/engine-process.js",
      "platform/fold-process.js",
      "testing/index.js",
      "training/join-thread.js",
    ]);
  });

  it("has every module that the sources start or load by its file", () => {
    const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".ts"),
    );
    const named = sources.flatMap((name) =>
      [...readFileSync(join(root, "src", name), "utf8").matchAll(/(?:program|module)File\("([^"]+)"\)/g)].map(
        ([, one]) => one!,
      ),
    );
    expect(named.length).toBeGreaterThan(4);
    for (const module of named) expect(existsSync(join(home, "dist", `${module}.js`)), module).toBe(true);
  });

  it("writes a project whose types are right, tests it, and comes to what the sources come to", () => {
    onefold("init", "shop");
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    symlinkSync(join(root, "node_modules/@types"), join(modules, "@types"));
    expect(spawnSync(process.execPath, [compiler, "-p", project], { encoding: "utf8" })).toMatchObject({
      status: 0,
      stdout: "",
    });
    onefold("test");
    onefold("apply");
    expect(json("ingest", "events.ndjson", "--source", "payments")).toMatchObject({ accepted: 206, rejected: 0 });
    expect(json("get", "--service", "fraud", "--entity", "user_id=ada").features.amount_24h).toBeGreaterThan(0);
    onefold("train", "--service", "fraud", "--labels", "labels.csv", "--out", "training.csv");
    expect(readFileSync(join(project, "training.csv"), "utf8")).toContain("amount_24h");
  });

  it("serves, answers its client, computes a new version beside that, and passes the audit", async () => {
    const args = [command, "serve", "--port", "0", "--sample", "1", "--json"];
    const server = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await once(server.stdout, "data")) as [Buffer];
      const { url } = JSON.parse(line.toString()) as { url: string };
      const script = `import { createClient } from "onefold/client";
const client = createClient({ url: ${JSON.stringify(url)} });
const { features } = await client.vector("fraud", { user_id: "ada" });
console.log(JSON.stringify(features));
await client.close();`;
      writeFileSync(join(project, "ask.mjs"), script);
      const asked = spawnSync(process.execPath, ["ask.mjs"], { cwd: project, encoding: "utf8" });
      expect(asked.stderr).toBe("");
      expect(JSON.parse(asked.stdout)).toEqual(
        json("get", "--service", "fraud", "--entity", "user_id=ada", "--url", url).features,
      );
      const features = readFileSync(join(project, "features.ts"), "utf8");
      writeFileSync(join(project, "features.ts"), features.replace("version: 1", "version: 2"));
      onefold("apply");
    } finally {
      server.kill("SIGTERM");
      await once(server, "exit");
    }
    expect(json("audit", "--states")).toMatchObject({
      vectors: 2,
      states: { "spending@2": { clean: true, states: 5, mismatched: 0, missing: 0 } },
    });
  });
});
