/** The workflow of examples/gitops, read as YAML: the shell of its steps, run in order in a real repository's folder. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { cliPath } from "../cli/run-cli.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}
interface Job {
  readonly if: string;
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
const workflow = parse(readFileSync(join(root, "examples/gitops/features.yml"), "utf8")) as {
  readonly on: Readonly<Record<string, unknown>>;
  readonly jobs: Readonly<Record<string, Job>>;
};

const FEATURES = `import { count, entity, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
export const totals = view("totals", { entity: user, source: visits, features: { visits: count() } });
export const visitor = service("visitor", { features: [totals] });
`;
const MORE = `export const spending = view("spending", { entity: user, source: visits, features: { spent: sum("spent") } });
`;
const TEST = `import { test } from "node:test";
import { totals } from "./features.ts";
test("totals", () => { if (totals.version !== 1) throw new Error("another version"); });
`;

/** What runs on GitHub's machines beside the project: npm's ci, which here takes the package under test, and gh, which keeps what it is told. */
const PROGRAMS = {
  npm: `#!/bin/sh
test "$1" = ci || exit 64
mkdir -p node_modules/.bin && ln -sfn ${root} node_modules/onefold
printf '#!/bin/sh\nexec "${process.execPath}" "${cliPath}" "$@"\n' > node_modules/.bin/onefold && chmod +x node_modules/.bin/onefold`,
  gh: `#!/bin/sh
test "$1 $2 $3" = "pr comment 7" || exit 64
while [ $# -gt 0 ]; do test "$1" = --body-file && cp "$2" "$RUNNER_TEMP/comment"; shift; done`,
};

async function finished(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly status: number | null; readonly text: string }> {
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part: string) => (text += part));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, text };
}

/** A step starts several processes, which takes a while where the machine is busy. */
const TIMEOUT_MS = 600_000;

describe("examples/gitops", { timeout: TIMEOUT_MS }, () => {
  let folder: string;
  let repository: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "onefold-gitops-"));
    repository = join(folder, "repository");
    mkdirSync(repository);
    mkdirSync(join(folder, "bin"));
    for (const [name, text] of Object.entries(PROGRAMS)) {
      writeFileSync(join(folder, "bin", name), text);
      chmodSync(join(folder, "bin", name), 0o755);
    }
    write(FEATURES);
    writeFileSync(join(repository, "features.test.ts"), TEST);
    writeFileSync(join(repository, "package.json"), JSON.stringify({ name: "features", type: "module" }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function write(definitions: string): void {
    writeFileSync(join(repository, "features.ts"), definitions);
  }

  /** The values of the expressions that the workflow has; there is no secret, so the registry is the folder's own. */
  function valueOf(expression: string, outputs: ReadonlyMap<string, string>): string {
    if (/^secrets\.ONEFOLD_REGISTRY(_READ)?$/.test(expression)) return "";
    if (expression === "github.token") return "token";
    if (expression === "github.event.pull_request.number") return "7";
    const output = outputs.get(expression);
    if (output === undefined) throw new Error(`the workflow says ${expression}, which this test does not know`);
    return output;
  }

  /** Runs the jobs of an event; each ends at the first step that fails. Gives the names of the steps that were run. */
  async function happen(event: "pull_request" | "push"): Promise<{
    readonly ran: readonly string[];
    readonly failed: string | null;
    readonly text: string;
  }> {
    expect(Object.keys(workflow.on)).toContain(event);
    const jobs = Object.values(workflow.jobs).filter((job) => job.if === `github.event_name == '${event}'`);
    expect(jobs).toHaveLength(1);
    const outputs = new Map<string, string>();
    const ran: string[] = [];
    let text = "";
    for (const step of jobs[0]!.steps) {
      if (step.run === undefined) {
        expect(step.uses).toMatch(/^actions\/(?:checkout|setup-node)@v\d+$/);
        continue;
      }
      const outputFile = join(folder, "output");
      writeFileSync(outputFile, "");
      const given = Object.entries({ ...jobs[0]!.env, ...step.env }).map(([name, value]) => {
        return [
          name,
          value.replace(/\$\{\{\s*(.+?)\s*\}\}/g, (_, expression: string) => valueOf(expression, outputs)),
        ] as const;
      });
      const env = {
        PATH: [join(folder, "bin"), dirname(process.execPath), process.env["PATH"]].join(delimiter),
        HOME: folder,
        NO_COLOR: "1",
        npm_config_update_notifier: "false",
        GITHUB_OUTPUT: outputFile,
        RUNNER_TEMP: folder,
        ...Object.fromEntries(given.filter(([, value]) => value !== "")),
      };
      // As GitHub runs a step: it ends at the first command that fails.
      const command = ["--noprofile", "--norc", "-eo", "pipefail", "-c", step.run];
      const done = await finished("bash", command, repository, env);
      ran.push(step.name!);
      text += done.text;
      for (const line of readFileSync(outputFile, "utf8")
        .split("\n")
        .filter((one) => one !== "")) {
        const [name, value] = line.split("=") as [string, string];
        outputs.set(`steps.${step.id}.outputs.${name}`, value);
      }
      if (done.status !== 0) return { ran, failed: step.name!, text };
    }
    return { ran, failed: null, text };
  }

  const comment = (): string => readFileSync(join(folder, "comment"), "utf8");

  it("plans on a pull request, with the plan as a comment, and applies on the merge", async () => {
    const proposed = await happen("pull_request");
    expect(proposed, proposed.text).toMatchObject({ failed: null });
    expect(proposed.ran).toEqual(["Install", "Test the features", "Plan", "Comment", "Fail where apply would refuse"]);
    expect(comment()).toContain("+ view totals@1");
    expect(existsSync(join(repository, ".onefold"))).toBe(false);
    const merged = await happen("push");
    expect(merged, merged.text).toMatchObject({ failed: null });
    expect(existsSync(join(repository, ".onefold"))).toBe(true);

    await happen("pull_request");
    expect(comment()).toContain("nothing to change");
  });

  it("says what is added, fails what would be refused, and applies neither", async () => {
    write(FEATURES + MORE);
    expect(await happen("pull_request")).toMatchObject({ failed: null });
    expect(comment()).toContain("+ view spending@1");
    expect(comment()).not.toContain("view totals@1");

    write(FEATURES.replace("visits: count() }", 'visits: count().over("1h") }'));
    const refused = await happen("pull_request");
    expect(refused.failed).toBe("Fail where apply would refuse");
    expect(comment()).toContain("! view totals@1");
    expect((await happen("push")).failed).toBe("Plan what was merged");

    write(FEATURES + MORE);
    const merged = await happen("push");
    expect(merged, merged.text).toMatchObject({ failed: null });
    await happen("pull_request");
    expect(comment()).toContain("nothing to change");
  });

  it("comments nothing, and fails, where the plan itself fails", async () => {
    rmSync(join(folder, "comment"));
    write("export const broken = ;");
    expect(["Test the features", "Plan"]).toContain((await happen("pull_request")).failed);
    expect(existsSync(join(folder, "comment"))).toBe(false);
  });
});
