/**
 * Redis (or Valkey): one server, with TLS and users of its own where a test asks for them.
 */
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Redis } from "ioredis";
import { newCertificate } from "./certificate.ts";
import { freePort } from "./free-port.ts";
import { locate } from "./locate.ts";
import { invoke, startable, type Startable, startInNewFolder } from "./program.ts";
import { type Faults, ServerProcess } from "./server-process.ts";

export interface RedisOptions {
  /** Default whichever there is. */
  readonly component?: "redis" | "valkey";
  /** Encrypted connections alone, with a certificate of its own for 127.0.0.1 and localhost. */
  readonly tls?: boolean;
  /** Then there is no user without a password. The rules are Redis's own: "~app:* +@read". */
  readonly users?: readonly { readonly name: string; readonly password: string; readonly rules: string }[];
  /** Whether each write is on disk before it is answered, and so is there after a kill. Off unless asked for. */
  readonly durable?: boolean;
  /** Further lines of redis.conf. */
  readonly config?: readonly string[];
  /** Where it is free. */
  readonly preferredPort?: number;
}

export interface RedisServer extends Faults {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** `redis://127.0.0.1:PORT`, `rediss://` with TLS, without users. */
  readonly url: string;
  /** The certificate to trust, PEM; null without TLS. */
  readonly ca: string | null;
  close(): Promise<void>;
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { component = "redis" } = options;
  const located = await startable(component);
  return startInNewFolder(component, (folder) => startIn(folder, located, options));
}

async function startIn(folder: string, located: Startable, options: RedisOptions): Promise<RedisServer> {
  const port = await freePort(options.preferredPort);
  const certificate = options.tls === true ? await newCertificate(folder) : null;
  const lines = [
    "bind 127.0.0.1",
    ...(certificate === null
      ? [`port ${port}`]
      : [
          "port 0",
          `tls-port ${port}`,
          `tls-cert-file ${certificate.file}`,
          `tls-key-file ${certificate.keyFile}`,
          "tls-auth-clients no",
        ]),
    `dir ${folder}`,
    'save ""',
    `appendonly ${options.durable === true ? "yes" : "no"}`,
    "appendfsync always",
    ...(options.users ?? []).map(({ name, password, rules }) => `user ${name} on >${password} ${rules}`),
    ...(options.users === undefined ? [] : ["user default off"]),
    ...(options.config ?? []),
  ];
  const configFile = join(folder, "redis.conf");
  await writeFile(configFile, `${lines.join("\n")}\n`);
  const program = located.from === "installed" ? located.path : "valkey-server";
  const server = await ServerProcess.start({
    name: basename(program),
    ...invoke(located, { program, args: [configFile], folder }),
    folder,
    isReady: (output) => output.includes("Ready to accept connections"),
  });
  return {
    host: "127.0.0.1",
    port,
    url: `${certificate === null ? "redis" : "rediss"}://127.0.0.1:${port}`,
    ca: certificate?.pem ?? null,
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: () => server.restart(),
    close: () => server.close(),
  };
}

/** Whatever there is for tests that kill nothing: the one the environment names, else one of our own. */
export async function openRedis(options: RedisOptions = {}): Promise<{ readonly url: string; close(): Promise<void> }> {
  const located = await locate(options.component ?? "redis");
  if (located.from !== "address") return startRedis(options);
  const client = new Redis(located.address, { lazyConnect: true, maxRetriesPerRequest: 1 });
  // Its own error says what is wrong with the address.
  client.on("error", () => undefined);
  await client.connect();
  await client.ping();
  client.disconnect();
  return { url: located.address, close: () => Promise.resolve() };
}
