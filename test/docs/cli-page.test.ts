/** docs/cli.md names every command and every option that the command line has, and no other. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.ts";
import { runCli } from "../cli/run-cli.ts";
import { runHere } from "../cli/run-here.ts";

const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");

async function help(...command: string[]): Promise<string> {
  return (await (command.length === 0 ? runCli : runHere)([...command, "--help"], ".")).stdout;
}

function namesUnder(heading: string, text: string): string[] {
  const section = text.split(`${heading}:\n`)[1]?.split("\n\n")[0] ?? "";
  return [...section.matchAll(/^ {2}(\S+)/gm)].map((match) => match[1]!).filter((name) => name !== "help");
}

/** Every command line that does something: `train`, `dead-letters list`, ... */
async function commandLines(): Promise<string[][]> {
  const lines: string[][] = [];
  for (const name of namesUnder("Commands", await help())) {
    const inner = namesUnder("Commands", await help(name));
    lines.push(...(inner.length === 0 ? [[name]] : inner.map((each) => [name, each])));
  }
  return lines;
}

function sectionOf(command: readonly string[]): string {
  const sections = page.split(/^## /m).slice(1);
  const listed = sections.find((section) => new RegExp(`^\`onefold .*\`${command[0]}\``).test(section.split("\n")[0]!));
  return sections.find((section) => new RegExp(`^\`onefold ${command.join(" ")}[ \`]`).test(section)) ?? listed ?? "";
}

describe("docs/cli.md", () => {
  const everywhere = ["--data", "--definitions", "--registry", "--json", "--debug", "--help", "-h,"];

  it("has a section for every command, with every option", async () => {
    const lines = await commandLines();
    expect(lines.length).toBeGreaterThan(15);
    for (const line of lines) {
      const section = sectionOf(line);
      expect(section, line.join(" ")).not.toBe("");
      for (const option of namesUnder("Options", await help(...line)).filter((name) => !everywhere.includes(name))) {
        expect(section, `onefold ${line.join(" ")} ${option}`).toContain(`\`${option}`);
      }
    }
  });

  it("names no option that does not exist", async () => {
    const helps = await Promise.all((await commandLines()).map((line) => help(...line)));
    const known = new Set(helps.flatMap((text) => namesUnder("Options", text)));
    const documented = [...page.matchAll(/^\| `(--[\w-]+)/gm)].map((match) => match[1]!);
    expect(documented.filter((option) => !known.has(option))).toEqual([]);
  });

  it("gives every exit code", () => {
    for (const code of Object.values(EXIT)) expect(page).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
  });
});
