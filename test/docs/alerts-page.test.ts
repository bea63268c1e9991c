/** The page's file applies behind the shop that `onefold init` writes; its check of a signature holds; its tables are whole. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import type { AlertOptions, RetrainOptions } from "../../src/define/alert.ts";
import { WATCHED_KINDS } from "../../src/define/alert-problems.ts";
import type { CommandOptions, WebhookOptions } from "../../src/define/destination.ts";
import { alertNotice, testNotice } from "../../src/monitor/alerts/notice.ts";
import { webhookRequest } from "../../src/monitor/alerts/webhook.ts";
import { planChanges } from "../../src/registry/plan.ts";
import { runCli } from "../cli/run-cli.ts";

const page = readFileSync(new URL("../../docs/alerts.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-alerts-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!);
}

/** Names in the first cells of the table under this heading cell. */
function rowsOf(heading: string): string[] {
  const table = page.split(`| ${heading} |`)[1]!.split("\n\n")[0]!;
  return [...table.matchAll(/^\| (`[\w-]+`(?:, `[\w-]+`)*) \|/gm)].flatMap((match) => match[1]!.match(/[\w-]+/g)!);
}

type Names<T> = Record<Exclude<keyof T, "description" | "owner" | "tags">, true>;
const RULES: Names<AlertOptions & Omit<RetrainOptions, "to" | "on">> = {
  on: true,
  source: true,
  view: true,
  feature: true,
  service: true,
  expectation: true,
  measure: true,
  above: true,
  below: true,
  for: true,
  windows: true,
  samplesMin: true,
  falseDiscoveryRate: true,
  keepFiring: true,
  cooldown: true,
  off: true,
  severity: true,
  repeat: true,
  to: true,
  labels: true,
  boundary: true,
};
const DESTINATIONS: Names<WebhookOptions & CommandOptions> = {
  url: true,
  secret: true,
  template: true,
  run: true,
  timeout: true,
  giveUp: true,
};

describe("docs/alerts.md", () => {
  it("has every option and every kind", () => {
    expect(rowsOf("option of `alert` and `retrain`").toSorted()).toEqual(Object.keys(RULES).toSorted());
    expect(rowsOf("option of `webhook` and `command`").toSorted()).toEqual(Object.keys(DESTINATIONS).toSorted());
    expect(rowsOf("kind").toSorted()).toEqual(WATCHED_KINDS.toSorted());
  });

  it("shows a file that applies behind the definitions of a new project", async () => {
    await runCli(["init", "shop"], folder);
    const file = join(folder, "shop", "features.ts");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n${blocks("ts")[0]!}`);
    const { definitions } = await loadDefinitions(file);
    const names = planChanges(definitions, new Map()).changes.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["slack", "pager", "trainer", "stale", "drifted", "again"]));
  });

  it("checks a signature as it says", async () => {
    const module = join(folder, "verify.mjs");
    writeFileSync(module, blocks("js")[0]!);
    const { isFromOnefold } = (await import(module)) as {
      isFromOnefold(headers: object, body: string, secret: string, nowSeconds: number): boolean;
    };
    const { headers, body } = webhookRequest("json", testNotice("1", 0), "words", 1_700_000_000e6);
    expect(isFromOnefold(headers, body, "words", 1_700_000_010)).toBe(true);
    expect(isFromOnefold(headers, body, "other", 1_700_000_010)).toBe(false);
    expect(isFromOnefold(headers, `${body} `, "words", 1_700_000_010)).toBe(false);
    expect(isFromOnefold(headers, body, "words", 1_700_001_000)).toBe(false);
    expect(isFromOnefold({ ...headers, "webhook-signature": "v1,short" }, body, "words", 1_700_000_010)).toBe(false);
  });

  it("shows a body with the members that a notice has", () => {
    const shown = JSON.parse(blocks("json")[0]!) as { found: object[] };
    const measured = {
      kind: "drift" as const,
      subject: {},
      measure: "psi",
      value: 1,
      threshold: 1,
      pValue: 0,
      adjustedPValue: 0,
      samples: 1,
      detail: {},
    };
    const rule = { kind: "alert", name: "x", severity: "warning" } as Parameters<typeof alertNotice>[2];
    const state = { measured, sinceMicros: 0 } as Parameters<typeof alertNotice>[3][number];
    const notice = alertNotice("1", "firing", rule, [state], 0, false);
    expect(Object.keys(shown)).toEqual(Object.keys(notice));
    expect(Object.keys(shown.found[0]!)).toEqual(Object.keys(notice.found[0]!));
  });
});
