/** The page's file, polled by the page's commands: only the address is a local server's. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import type { HttpPollOptions } from "../../src/define/http-poll.ts";
import { cliPath } from "../cli/run-cli.ts";
import { mostlyHere } from "../cli/run-here.ts";

const { runCli, runJson } = mostlyHere();

const page = readFileSync(new URL("../../docs/polling.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-polling-page-")));
let child: ChildProcess | null = null;
afterAll(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!);
}

const OPTIONS: Record<keyof HttpPollOptions, true> = {
  url: true,
  every: true,
  headers: true,
  query: true,
  rows: true,
  columns: true,
  pages: true,
  cursor: true,
  timeout: true,
  bodyBytesMax: true,
  requestsMax: true,
};

describe("docs/polling.md", () => {
  it("has every option", () => {
    const named = [...page.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)].flatMap((match) => match[1]!.match(/\w+/g)!);
    expect(named.toSorted()).toEqual(Object.keys(OPTIONS).toSorted());
  });

  it("shows a file that is polled as it says, by the commands that it shows", async () => {
    const asked: { readonly url: URL; readonly authorization: string | undefined }[] = [];
    const now = Date.now();
    const server = createServer((request, response) => {
      const url = new URL(request.url!, "http://api");
      asked.push({ url, authorization: request.headers.authorization });
      const isFirst = url.searchParams.get("page") === null;
      const items = isFirst
        ? [{ symbol: "ACME", seq: 2, price: 12, time: now - 1000, venue: { code: "X", name: "Exchange" } }]
        : [{ symbol: "ACME", seq: 1, price: 10, time: now - 2000 }];
      response.end(JSON.stringify({ data: { items, next_page: isFirst ? "two" : null } }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      writeFileSync(
        join(folder, "features.ts"),
        blocks("ts features.ts")[0]!
          .replace("https://api.example.com", origin)
          // So that the second poll is not before all is looked at.
          .replace('every: "5s"', 'every: "5m"'),
      );
      const commands = blocks("sh")[0]!.trim().split("\n");
      expect(commands).toEqual(["export QUOTES_TOKEN=...", "onefold apply", "onefold serve", "onefold sources"]);
      expect((await runCli(["apply"], folder)).exitCode).toBe(0);
      expect(asked).toEqual([]);
      child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json"], {
        cwd: folder,
        env: { ...process.env, QUOTES_TOKEN: "t0ken" },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [line] = (await once(child.stdout!, "data")) as [Buffer];
      const { url } = JSON.parse(line.toString()) as { url: string };
      let features: Record<string, unknown> = {};
      for (let waited = 0; features["quotes_1h"] !== 2 && waited < 120_000; waited += 50) {
        await sleep(50);
        features = (
          (await (await fetch(`${url}/features/symbol/ACME`)).json()) as { features: Record<string, unknown> }
        ).features;
      }
      expect(features).toEqual({ price: 12, mean_price_5m: 11, quotes_1h: 2 });
      expect(asked[0]!.authorization).toBe("Bearer t0ken");
      expect(asked[0]!.url.search).toBe("?limit=500");
      expect(asked[1]!.url.search).toBe("?limit=500&page=two");

      const { result } = await runJson(["sources"], folder);
      expect(result["sources"]).toMatchObject([
        {
          name: "quotes",
          kind: "stream",
          id: "quote_id",
          poll: { every: "5m", rows: 2, new_rows: 2, failures: 0, last_error: null },
        },
      ]);
      const status = result["sources"][0].poll;
      expect(status.cursor).toBe(String(now - 1000 - 30_000));
      const afterSuccess = Date.parse(status.next_due_at) - Date.parse(status.last_success_at);
      expect(afterSuccess).toBeGreaterThan(180_000);
      expect(afterSuccess).toBeLessThanOrEqual(300_000);
      const described = (await runCli(["describe", "quotes"], folder)).stdout;
      expect(described).toContain("poll: url ");
      expect(described).toContain("poll status: last_poll_at ");
      expect(JSON.stringify(result) + described).not.toContain("t0ken");

      const ended = once(child, "close");
      child.kill("SIGINT");
      expect(await ended).toEqual([0, null]);
      const listed = (await runCli(["sources"], folder)).stdout;
      expect(listed).toContain("nobody polls");
      expect(listed).toMatch(/quotes +stream +5 +5m +\d{4}-/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
