/**
 * Where a component comes from: an address in the environment, what is installed, a package that may be installed,
 * Docker; or nowhere, and what would bring it.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { mavenJars } from "./maven-jars.ts";
import { valkeyProgram } from "./valkey-program.ts";

const run = promisify(execFile);

export type ComponentName = "redis" | "valkey" | "kafka" | "postgres" | "prometheus";

export type Located =
  | { readonly from: "address"; readonly address: string }
  /** The folder of PostgreSQL's programs; the program of Redis; the class path of Kafka, for `java`. */
  | { readonly from: "installed"; readonly path: string }
  | { readonly from: "docker"; readonly image: string }
  | { readonly from: "nowhere"; readonly bring: string };

interface Component {
  readonly title: string;
  /** Environment variable that names a running one. */
  readonly variable: string;
  readonly debianPackages: readonly string[];
  readonly image: string;
  /** Null where it is not installed; a sentence that says why it is installed but cannot be used. */
  find(): Promise<{ readonly path: string } | { readonly why: string } | null>;
}

export const COMPONENTS: Readonly<Record<ComponentName, Component>> = {
  redis: {
    title: "Redis",
    variable: "ONEFOLD_REDIS_URL",
    debianPackages: ["redis-server"],
    image: "valkey/valkey:8",
    find: async () => onPath("redis-server") ?? onPath("valkey-server"),
  },
  // For what is to be seen on Valkey, too: all else is content with either.
  valkey: {
    title: "Valkey",
    variable: "ONEFOLD_VALKEY_URL",
    debianPackages: ["python3-pip"],
    image: "valkey/valkey:8",
    find: async () => {
      const python = process.env["ONEFOLD_PYTHON"] ?? onPath("python3")?.path;
      return onPath("valkey-server") ?? (python === undefined ? null : valkeyProgram(python));
    },
  },
  kafka: {
    title: "Apache Kafka",
    variable: "ONEFOLD_KAFKA",
    debianPackages: ["default-jre-headless", "maven"],
    image: "apache/kafka:4.1.1",
    find: async () => {
      if (onPath("java") === null) return null;
      const jars = await mavenJars("kafka", onPath("mvn")?.path ?? null);
      if ("why" in jars) return onPath("mvn") === null ? null : jars;
      return { path: join(jars.folder, "*") };
    },
  },
  prometheus: {
    title: "Prometheus",
    variable: "ONEFOLD_PROMETHEUS_URL",
    debianPackages: ["prometheus"],
    image: "prom/prometheus:v3.5.0",
    // Its folder: promtool lies beside it.
    find: async () => {
      const found = onPath("prometheus");
      return found === null || onPath("promtool") === null ? null : { path: dirname(found.path) };
    },
  },
  postgres: {
    title: "PostgreSQL",
    variable: "ONEFOLD_POSTGRES_URL",
    debianPackages: ["postgresql"],
    image: "postgres:17",
    find: async () => {
      const folder = postgresFolders().find(
        (each) => isProgram(join(each, "postgres")) && isProgram(join(each, "initdb")),
      );
      return folder === undefined ? null : { path: folder };
    },
  },
};

const inCi = (): boolean => !["", "0", "false", undefined].includes(process.env["CI"]);

/** Whether a component that is not there is a failure, not a reason to skip. */
export function mayBeMissing(): boolean {
  return !inCi();
}

/** `ours`: one that we start ourselves, for tests that kill it, whatever address the environment has. */
export async function locate(name: ComponentName, { ours = false } = {}): Promise<Located> {
  const component = COMPONENTS[name];
  const address = process.env[component.variable];
  if (!ours && address !== undefined && address !== "") return { from: "address", address };
  let found = await component.find();
  if (found === null && mayInstall()) {
    await install(component.debianPackages);
    found = await component.find();
  }
  if (found !== null && "path" in found) return { from: "installed", path: found.path };
  if (await hasDocker()) return { from: "docker", image: component.image };
  const why = found === null ? `${component.title} is not installed` : `${component.title}: ${found.why}`;
  const remote = ours ? "" : `, or name a running one in ${component.variable}`;
  return {
    from: "nowhere",
    bring: `${why}. Install it (Debian: apt-get install ${component.debianPackages.join(" ")})${remote}, or start Docker`,
  };
}

/** As root, on Debian and its like, and only where it was allowed: it changes the machine. */
function mayInstall(): boolean {
  return process.env["ONEFOLD_INSTALL_SERVICES"] === "1" && process.getuid?.() === 0 && onPath("apt-get") !== null;
}

async function install(packages: readonly string[]): Promise<void> {
  process.stderr.write(`> Installing ${packages.join(" ")}\n`);
  // At run level 1 Debian's packages start no server of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await run("apt-get", ["update", "-qq"], { env });
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], {
    env,
    maxBuffer: 64 * 1024 * 1024,
  });
}

let docker: Promise<boolean> | null = null;

function hasDocker(): Promise<boolean> {
  docker ??= run("docker", ["info", "--format", "{{.ServerVersion}}"], { timeout: 5000 }).then(
    ({ stdout }) => stdout.trim() !== "",
    () => false,
  );
  return docker;
}

function onPath(program: string): { readonly path: string } | null {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folder = folders.find((each) => isProgram(join(each, program)));
  return folder === undefined ? null : { path: join(folder, program) };
}

/** On PATH, and where Debian keeps them, newest first. */
function postgresFolders(): string[] {
  const debian = "/usr/lib/postgresql";
  let versions: string[] = [];
  try {
    versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Another system.
  }
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...versions.map((version) => join(debian, version, "bin")), ...path];
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
