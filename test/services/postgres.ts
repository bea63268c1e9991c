/**
 * PostgreSQL: one server with one superuser, whose password it asks for.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { newCertificate } from "./certificate.ts";
import { freePort } from "./free-port.ts";
import { locate } from "./locate.ts";
import { invoke, startable, type Startable, startInNewFolder } from "./program.ts";
import { type Faults, ServerProcess } from "./server-process.ts";

const run = promisify(execFile);
const USER = "onefold";
const PASSWORD = "not-a-secret";

export interface PostgresServer extends Faults {
  readonly port: number;
  /** `postgres://USER:PASSWORD@127.0.0.1:PORT/postgres`, of a superuser. */
  readonly url: string;
  /** File of the certificate to trust; null without TLS. */
  readonly caFile: string | null;
  close(): Promise<void>;
}

export interface PostgresOptions {
  /** Encrypted connections alone, with a certificate of its own for 127.0.0.1 and localhost. */
  readonly tls?: boolean;
  /** Where it is free. */
  readonly preferredPort?: number;
}

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const located = await startable("postgres");
  return startInNewFolder("postgres", (folder) => startIn(folder, located, options));
}

async function startIn(folder: string, located: Startable, options: PostgresOptions): Promise<PostgresServer> {
  const port = await freePort(options.preferredPort);
  const dataFolder = join(folder, "data");
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, PASSWORD);
  const certificate = options.tls === true ? await newCertificate(folder) : null;
  const user = process.getuid?.() === 0 && located.from === "installed" ? await serverUser() : undefined;
  if (user !== undefined) {
    await chown(folder, user.uid, user.gid);
    for (const file of [passwordFile, ...(certificate === null ? [] : [certificate.keyFile])]) {
      await chown(file, user.uid, user.gid);
    }
  } else if (located.from === "docker") {
    // The image's user makes its data folder itself.
    await chmod(folder, 0o777);
  }
  const programOf = (name: string): string => (located.from === "installed" ? join(located.path, name) : name);
  const call = (program: string, args: readonly string[]): ReturnType<typeof invoke> =>
    invoke(located, { program: programOf(program), args, folder, containerUser: "postgres" });
  const init = call("initdb", [
    `--pgdata=${dataFolder}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
  ]);
  await run(init.program, [...init.args], { cwd: folder, ...user });
  if (certificate !== null) {
    await writeFile(join(dataFolder, "pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n");
  }
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    // A killed server loses nothing for it; only a machine that loses its power would.
    fsync: "off",
    ...(certificate === null ? {} : { ssl: "on", ssl_cert_file: certificate.file, ssl_key_file: certificate.keyFile }),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const trust = certificate === null ? "" : `?sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate.file)}`;
  const url = `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres${trust}`;
  const server = await ServerProcess.start({
    name: "postgres",
    ...call("postgres", ["-D", dataFolder, ...flags]),
    folder,
    ...(user === undefined ? {} : { user }),
    endSignal: "SIGINT",
    isReady: () =>
      answers(url).then(
        () => true,
        () => false,
      ),
  });
  return {
    port,
    url,
    caFile: certificate?.file ?? null,
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: () => server.restart(),
    close: () => server.close(),
  };
}

/** Whatever there is for tests that kill nothing: the one the environment names, else one of our own. */
export async function openPostgres(
  options: PostgresOptions = {},
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const located = await locate("postgres");
  if (located.from !== "address") return startPostgres(options);
  await answers(located.address);
  return { url: located.address, close: () => Promise.resolve() };
}

/** A new database, so that tests share a server and see nothing of each other: its URL. */
export async function newDatabase(serverUrl: string): Promise<string> {
  const name = `onefold_${randomUUID().replaceAll("-", "")}`;
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function answers(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** PostgreSQL refuses to run as root: the user of its package, else nobody. */
async function serverUser(): Promise<{ uid: number; gid: number }> {
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all(
        ["-u", "-g"].map(async (flag) => Number((await run("id", [flag, name])).stdout)),
      );
      return { uid: uid!, gid: gid! };
    } catch {
      // There is no such user here.
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is no user postgres or nobody");
}
