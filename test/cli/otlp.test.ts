/** `onefold serve --otlp`, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OtlpReceiver } from "../platform/monitoring/otlp-receiver.ts";
import { cliPath, runCli } from "./run-cli.ts";

let folder: string;
let server: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-otlp-cli-"));
});
afterEach(() => {
  server?.kill("SIGKILL");
  return rm(folder, { recursive: true, force: true });
});

describe("onefold serve --otlp", () => {
  it("sends what all processes counted, now and then, and once more when it stops", async () => {
    await runCli(["init", "shop"], folder);
    const project = join(folder, "shop");
    await runCli(["apply"], project);
    const receiver = await OtlpReceiver.open();
    const sending = ["--otlp", receiver.url, "--otlp-every", "1", "--workers", "1"];
    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json", ...sending], {
      cwd: project,
      env: { ...process.env, OTEL_SERVICE_NAME: "shop-features", OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer x" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    server = child;
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { url } = JSON.parse(line.toString()) as { url: string };
    for (let i = 0; i < 5; i++) {
      const body = JSON.stringify({ entities: { user_id: "ada" } });
      expect((await fetch(`${url}/services/fraud/vector`, { method: "POST", body })).status).toBe(200);
    }
    const vectors = (): number | undefined =>
      receiver.requests.at(-1)?.metrics.find(({ name }) => name === "onefold_vectors_total")?.sum?.dataPoints[0]
        ?.asDouble;
    await expect.poll(vectors, { timeout: 60_000 }).toBe(5);
    const { headers, resource } = receiver.requests.at(-1)!;
    expect(headers["authorization"]).toBe("Bearer x");
    expect(resource["service.name"]).toBe("shop-features");
    await fetch(`${url}/services/fraud/vector`, {
      method: "POST",
      body: JSON.stringify({ entities: { user_id: "bob" } }),
    });
    const ended = once(child, "close");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(vectors()).toBe(6);
    await receiver.close();
  });
});
