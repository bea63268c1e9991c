/**
 * Where a Redis is, as a URL says it:
 *
 *     redis://[user[:password]@]host[:port][,host[:port]...][/database][?prefix=..&cluster=yes&replicas=N&ca=FILE&timeout_ms=..]
 *
 * `rediss:` is TLS, and `ca` the file of the authority that signed the servers' certificates. Several hosts, or
 * `cluster=yes`, are nodes of a Redis Cluster, from which the others are learnt. A password is never shown again.
 */
import { readFileSync } from "node:fs";
import { OnefoldError } from "../../base/errors.ts";

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly nodes: readonly RedisNode[];
  readonly isCluster: boolean;
  /** Null without TLS; `ca` null for the authorities that Node trusts. */
  readonly tls: { readonly ca: string | null } | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  /** What all keys begin with. */
  readonly prefix: string;
  /** How long one round trip may take. */
  readonly timeoutMs: number;
  /** Of each master of a cluster, so many replicas at most must have states before a position speaks for them. */
  readonly replicasMax: number;
  /** For messages: the URL without user, password and settings. */
  readonly shown: string;
}

const PORT = 6379;
const PREFIX = "of:";
const TIMEOUT_MS = 1000;
const TIMEOUT_MS_MAX = 60_000;
const URL_FORM = /^(rediss?):\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/(\d*))?(?:\?([^#]*))?$/;
const HOST_FORM = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/;
const SETTINGS: readonly string[] = ["prefix", "cluster", "replicas", "ca", "timeout_ms"];

/** `password` stands in for one that the URL lacks. Throws `REQUEST_INVALID`, which shows nothing of what was given; `FILE_UNREADABLE`. */
export function parseRedisAddress(url: string, password: string | null = null): RedisAddress {
  const [, scheme = "", user, hosts = "", database = "", query = ""] = URL_FORM.exec(url) ?? refuse();
  const nodes = hosts.split(",").map((host): RedisNode => {
    const [, name = "", port = String(PORT)] = HOST_FORM.exec(host) ?? refuse();
    if (Number(port) < 1 || Number(port) > 65_535) refuse();
    return { host: name.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
  });
  const settings = new URLSearchParams(query);
  for (const name of settings.keys()) if (!SETTINGS.includes(name)) refuse();
  const isCluster = nodes.length > 1 || settings.get("cluster") === "yes";
  const timeoutMs = Number(settings.get("timeout_ms") ?? TIMEOUT_MS);
  const prefix = settings.get("prefix") ?? PREFIX;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) refuse();
  const replicas = settings.get("replicas");
  if (replicas !== null && (!/^\d{1,2}$/.test(replicas) || !isCluster)) refuse();
  // A brace of its own would move the hash tag.
  if (/[{}]/.test(prefix) || (isCluster && Number(database) !== 0)) refuse();
  const ca = settings.get("ca");
  const [username, given] = credentialsOf(user ?? "");
  return {
    nodes,
    isCluster,
    tls: scheme === "rediss" ? { ca: ca === null ? null : readAuthority(ca) } : null,
    username,
    password: given ?? password,
    database: Number(database),
    prefix,
    timeoutMs,
    replicasMax: replicas === null ? Number.POSITIVE_INFINITY : Number(replicas),
    shown: `${scheme}://${hosts}`,
  };
}

function credentialsOf(user: string): [username: string | null, password: string | null] {
  const colon = user.indexOf(":");
  const [name, secret] = colon === -1 ? [user, ""] : [user.slice(0, colon), user.slice(colon + 1)];
  const decoded = (text: string): string | null => {
    try {
      return text === "" ? null : decodeURIComponent(text);
    } catch {
      return refuse();
    }
  };
  return [decoded(name), decoded(secret)];
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new OnefoldError(
      "FILE_UNREADABLE",
      `the certificate authority's file cannot be read: ${(cause as Error).message}`,
      {
        where: file,
        cause,
      },
    );
  }
}

function refuse(): never {
  throw new OnefoldError("REQUEST_INVALID", "this is not the address of a Redis", {
    hint: "give redis://[user:password@]host:port[,host:port][/database][?prefix=..&cluster=yes&replicas=N&ca=FILE&timeout_ms=..], with what is special in a password as %XX; a cluster has database 0 alone, and nothing else has replicas",
  });
}
