/** `onefold init`: a small project that runs at once. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { PACKAGE_ROOT } from "../../base/package-files.ts";
import { installedFrom } from "../installed-from.ts";
import { createOutput } from "../output.ts";
import { sampleFiles } from "../sample-events.ts";

interface InitOptions {
  readonly json?: true;
}

const NEXT_STEPS = [
  "onefold test",
  "onefold apply",
  "onefold ingest events.ndjson --source payments",
  "onefold get --service fraud --entity user_id=ada",
  "onefold train --service fraud --labels labels.csv --out training.csv",
  "onefold serve --port 8080",
];

/** What `npm init` writes where there is no test. */
const NO_TEST = "no test specified";

/** What makes the compiler refuse a wrong column or window. */
const COMPILER_OPTIONS = {
  target: "es2023",
  module: "nodenext",
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  types: ["node"],
} as const;
const CHECK_NOTE =
  "npm install && npm run check: the compiler then finds a wrong column, window or type in features.ts";

export function initCommand(): Command {
  return new Command("init")
    .description(
      "write a small example project: definitions, a test of them, events, labels, package.json, tsconfig.json, .gitignore",
    )
    .argument("[folder]", "where to write it", ".")
    .addOption(new Option("--json", "print one JSON object on stdout, and nothing else there"))
    .addOption(new Option("--debug", "print the stack of an error"))
    .action(async (folder: string, options: InitOptions) => {
      const target = resolve(folder);
      const files = await projectFiles();
      const manifest = await mergedManifest(target);
      const inTheWay = [...files.keys()].filter((name) => existsSync(join(target, name)));
      if (inTheWay.length > 0) {
        throw new OnefoldError("REQUEST_INVALID", `${target} already has ${inTheWay.join(", ")}`, {
          hint: "give another folder: onefold init FOLDER",
        });
      }
      await mkdir(target, { recursive: true });
      for (const [name, text] of files) await writeFile(join(target, name), text, { flag: "wx" });
      await writeFile(join(target, "package.json"), manifest.text);
      const steps = [...(folder === "." ? [] : [`cd ${folder}`]), ...NEXT_STEPS];
      createOutput(options.json === true).result(
        { folder: target, files: [...files.keys(), "package.json"], next: steps },
        () =>
          [
            `wrote ${[...files.keys()].join(", ")}${manifest.existed ? "; added what was missing to package.json" : ", package.json"}`,
            "",
            "next:",
            ...steps.map((step) => `  ${step}`),
            "",
            CHECK_NOTE,
          ].join("\n"),
      );
    });
}

async function projectFiles(): Promise<Map<string, string>> {
  const example = (name: string): Promise<string> => readFile(join(PACKAGE_ROOT!, "examples", "shop", name), "utf8");
  const { events, labels } = sampleFiles(systemClock.now());
  return new Map([
    ["features.ts", await example("features.ts")],
    ["features.test.ts", await example("features.test.ts")],
    ["events.ndjson", events],
    ["labels.csv", labels],
    ["tsconfig.json", `${JSON.stringify({ compilerOptions: COMPILER_OPTIONS }, null, 2)}\n`],
    [".gitignore", "node_modules/\n.onefold/\n"],
  ]);
}

/** The project's package.json with what a definitions file needs; what stands there stays as it is. */
async function mergedManifest(target: string): Promise<{ readonly text: string; readonly existed: boolean }> {
  const root = PACKAGE_ROOT!;
  const own = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest & { version: string };
  const path = join(target, "package.json");
  const existed = existsSync(path);
  const present = existed ? (JSON.parse(await readFile(path, "utf8")) as Manifest) : {};
  const name = basename(target)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-");
  // The registry may not have it: what works is where this very package came from.
  const onefold = await installedFrom(root, own.version);
  const devDependency = (dependency: string): Record<string, string> => ({
    [dependency]: own.devDependencies?.[dependency] ?? "latest",
  });
  const { test, ...scripts } = present.scripts ?? {};
  const merged = {
    ...(existed ? {} : { name, private: true }),
    type: "module",
    ...present,
    scripts: {
      check: "tsc --noEmit",
      ...scripts,
      test: test === undefined || test.includes(NO_TEST) ? "onefold test" : test,
    },
    dependencies: { onefold, ...present.dependencies },
    devDependencies: { ...devDependency("@types/node"), ...devDependency("typescript"), ...present.devDependencies },
  };
  return { text: `${JSON.stringify(merged, null, 2)}\n`, existed };
}

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}
