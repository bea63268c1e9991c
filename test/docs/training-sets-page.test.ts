/** The commands of docs/training-sets.md, run with curl on the project that `onefold init` writes, and its tables. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { TrainingJob } from "../../src/serve/training-desk.ts";
import { jobSchema, optionSchemas } from "../../src/serve/training-set-schemas.ts";
import { cliPath, runCli } from "../cli/run-cli.ts";

const page = readFileSync(new URL("../../docs/training-sets.md", import.meta.url), "utf8");
const [serve, ...commands] = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!.trim());
const folder = mkdtempSync(join(tmpdir(), "onefold-training-page-"));
let server: ChildProcess | null = null;
afterAll(() => {
  server?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

function hasCurl(): boolean {
  try {
    execFileSync("curl", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("docs/training-sets.md", () => {
  it("names every option and every state", () => {
    for (const option of Object.keys(optionSchemas)) expect(page).toMatch(new RegExp(`^\\| .*\`${option}\``, "m"));
    const { state } = jobSchema["properties"] as { state: { enum: string[] } };
    for (const name of state.enum) expect(page).toContain(`\n| \`${name}\` |`);
  });

  it.skipIf(!hasCurl() && process.env["CI"] === undefined)(
    "shows commands that start, follow, download and remove a training set",
    async () => {
      await runCli(["init", "shop"], folder);
      const cwd = join(folder, "shop");
      await runCli(["apply"], cwd);
      await runCli(["ingest", "events.ndjson", "--source", "payments"], cwd);
      const args = serve!.replace("onefold ", "").replace("8080", "0").split(" ");
      server = spawn(process.execPath, [cliPath, ...args, "--json"], { cwd, stdio: ["ignore", "pipe", "inherit"] });
      const [line] = (await once(server.stdout!, "data")) as [Buffer];
      const { url } = JSON.parse(line.toString()) as { url: string };
      let id = "";
      const said = commands.map((command) => {
        const output = execFileSync("sh", ["-ec", command], {
          cwd,
          env: { ...process.env, URL: url, ID: id },
        }).toString();
        if (id === "") ({ id } = JSON.parse(output) as TrainingJob);
        return output;
      });
      expect(said[1]).toMatch(/^event: progress\nid: \d+\ndata: \{[\s\S]*\nevent: done\nid: \d+\ndata: \{.*\}\n\n$/);
      expect(readFileSync(join(cwd, "set.parquet"), "latin1").slice(0, 4)).toBe("PAR1");
      expect(statSync(join(cwd, "set.arrows")).size).toBeGreaterThan(1000);
      expect(JSON.parse(readFileSync(join(cwd, "manifest.json"), "utf8"))).toMatchObject({
        services: [{ name: "fraud" }],
      });
      expect(JSON.parse(said.at(-1)!)).toMatchObject({ id, state: "done" });
      expect((await fetch(`${url}/training-sets/${id}`)).status).toBe(404);
    },
    240_000,
  );
});
