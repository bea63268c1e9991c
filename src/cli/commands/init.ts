/** `onefold init`: a small project that runs at once. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { createOutput } from "../output.ts";
import { sampleFiles } from "../sample-events.ts";

interface InitOptions {
  readonly json?: true;
}

const NEXT_STEPS = [
  "onefold apply",
  "onefold ingest events.ndjson --source payments",
  "onefold get --service fraud --entity user_id=ada",
  "onefold train --service fraud --labels labels.csv --out training.csv",
  "onefold serve --port 8080",
];

export function initCommand(): Command {
  return new Command("init")
    .description("write a small example project: definitions, events, labels")
    .argument("[folder]", "where to write it", ".")
    .addOption(new Option("--json", "print one JSON object on stdout, and nothing else there"))
    .addOption(new Option("--debug", "print the stack of an error"))
    .action(async (folder: string, options: InitOptions) => {
      const target = resolve(folder);
      const files = await projectFiles(target);
      const inTheWay = [...files.keys()].filter((name) => existsSync(join(target, name)));
      if (inTheWay.length > 0) {
        throw new OnefoldError("REQUEST_INVALID", `${target} already has ${inTheWay.join(", ")}`, {
          hint: "give another folder: onefold init FOLDER",
        });
      }
      await mkdir(target, { recursive: true });
      for (const [name, text] of files) await writeFile(join(target, name), text, { flag: "wx" });
      const steps = [...(folder === "." ? [] : [`cd ${folder}`]), ...NEXT_STEPS];
      createOutput(options.json === true).result({ folder: target, files: [...files.keys()], next: steps }, () =>
        [`wrote ${[...files.keys()].join(", ")}`, "", "next:", ...steps.map((step) => `  ${step}`)].join("\n"),
      );
    });
}

async function projectFiles(target: string): Promise<Map<string, string>> {
  const definitions = await readFile(new URL("../../../examples/shop/features.ts", import.meta.url), "utf8");
  const manifest = JSON.parse(await readFile(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const { events, labels } = sampleFiles(systemClock.now());
  const project = {
    name: basename(target)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, "-"),
    private: true,
    type: "module",
    dependencies: { onefold: `^${manifest.version}` },
  };
  return new Map([
    ["features.ts", definitions],
    ["events.ndjson", events],
    ["labels.csv", labels],
    ["package.json", `${JSON.stringify(project, null, 2)}\n`],
    [".gitignore", "node_modules/\n.onefold/\n"],
  ]);
}
