/**
 * `onefold serve --online` over what workers fold, asked all the time while something fails: each answer is the values
 * that the states then had, which `onefold audit` computes again, or an error that says what is wrong, and none is waited
 * for in vain.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cliPath, runCli, runJson } from "../../cli/run-cli.ts";
import type { KafkaWorld } from "./kafka-world.ts";

const definitions = join(import.meta.dirname, "payments-definitions.ts");
const ASK_EVERY_MS = 20;
/** The store's time limit is 20 seconds at most: what takes so long hangs. */
const HANGS_MS = 60_000;
/** What an answer may be while a store is away, or is filled again. */
const HONEST_CODES = new Set(["STORE_UNAVAILABLE", "STORE_TIMEOUT", "NOT_READY"]);

/** What `verdict` is of a server that was honest. */
export const HONEST: unknown = { wrong: [], mismatched: 0, missing: 0, pending: 0, isCompared: true };

export interface WatchedAnswers {
  /** Vectors. */
  readonly served: number;
  /** Requests, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Whatever else came. */
  readonly wrong: readonly string[];
}

export class WatchedServer {
  readonly #world: KafkaWorld;
  readonly #folder: string;
  readonly archiveFolder: string;
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #refused = new Map<string, number>();
  readonly #wrong: string[] = [];
  readonly #counts = new Map<string, number>();
  readonly #asking: Promise<void>;
  #mayGoBack = false;
  #served = 0;
  #isOver = false;

  private constructor(world: KafkaWorld, folder: string, archiveFolder: string, child: ChildProcess, url: string) {
    this.#world = world;
    this.#folder = folder;
    this.archiveFolder = archiveFolder;
    this.#child = child;
    this.#url = url;
    this.#asking = this.#ask();
  }

  /** `archiveFolder` where workers are to archive elsewhere than beside its data. */
  static async start(world: KafkaWorld, onlineUrl: string, archiveFolder?: string): Promise<WatchedServer> {
    const folder = await mkdtemp(join(tmpdir(), "onefold-watched-"));
    process.env["ONEFOLD_TEST_TOPIC"] = world.source.kafka!.topic;
    const { exitCode, stderr } = await runCli(["apply", "--definitions", definitions, "--data", "data"], folder);
    if (exitCode !== 0) throw new Error(stderr);
    const args = [
      ["serve", "--json", "--port", "0", "--data", "data", "--definitions", definitions],
      ["--online", onlineUrl, "--sample", "1"],
    ].flat();
    const child = spawn(process.execPath, [cliPath, ...args], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout!, "data")) as [Buffer];
    const { url } = JSON.parse(line.toString()) as { url: string };
    return new WatchedServer(world, folder, archiveFolder ?? join(folder, "offline"), child, url);
  }

  /** From now on an entity may be seen as it was before: a failover may have taken its last events back for a while. */
  mayGoBack(): void {
    this.#mayGoBack = true;
  }

  get answers(): WatchedAnswers {
    return { served: this.#served, refused: Object.fromEntries(this.#refused), wrong: this.#wrong };
  }

  get refusedCount(): number {
    return [...this.#refused.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves once so many more vectors were served. */
  async serves(count: number, timeoutMs = 120_000): Promise<void> {
    const until = this.#served + count;
    for (const end = Date.now() + timeoutMs; this.#served < until; await sleep(20)) {
      if (Date.now() > end) throw new Error(`not served: ${JSON.stringify(this.answers)}`);
    }
  }

  /** Ends it; resolves with what `onefold audit` says of its answers, once workers have archived what they are of. */
  async audit(timeoutMs = 180_000): Promise<Record<string, any>> {
    this.#isOver = true;
    await this.#asking;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
    const { prefix } = this.#world.settings;
    const tables = ["--archive", this.archiveFolder, "--kafka-prefix", prefix];
    for (const end = Date.now() + timeoutMs; ; await sleep(500)) {
      const args = ["audit", "--data", "data", "--definitions", definitions, ...tables];
      const { result } = await runJson(args, this.#folder);
      if (result["pending"] === 0 || Date.now() > end) return result;
    }
  }

  /** Ends it; resolves with what is to equal `HONEST`: nothing was wrong, and all is computed again to the bit. */
  async verdict(): Promise<unknown> {
    await this.serves(100);
    const { mismatched, missing, pending, compared } = await this.audit();
    const { wrong, served } = this.answers;
    return { wrong, mismatched, missing, pending, isCompared: compared > served };
  }

  async close(): Promise<void> {
    this.#isOver = true;
    const { exitCode, signalCode } = this.#child;
    const ended = exitCode === null && signalCode === null ? once(this.#child, "exit") : null;
    this.#child.kill("SIGKILL");
    await Promise.all([ended, this.#asking]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #ask(): Promise<void> {
    for (let n = 0; !this.#isOver; n++, await sleep(ASK_EVERY_MS)) {
      const vectors = Array.from({ length: 5 }, (_, i) => ({
        user: `u${(n + i) % 37}`,
        shop: [(n + i) % 2 === 0 ? "DE|x" : "FR", (n + i) % 11],
      }));
      await this.#askFor(vectors).catch((error: Error) => {
        if (!this.#isOver) this.#wrong.push(`${error.name}: ${error.message}`);
      });
    }
  }

  async #askFor(entities: readonly { readonly user: string }[]): Promise<void> {
    const response = await fetch(`${this.#url}/services/seen/vectors`, {
      method: "POST",
      body: JSON.stringify({ entities }),
      signal: AbortSignal.timeout(HANGS_MS),
    });
    const body = (await response.json()) as Record<string, any>;
    if (response.status !== 200) {
      const code = String(body["error"]?.code);
      if (HONEST_CODES.has(code)) this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
      else this.#wrong.push(JSON.stringify(body));
      return;
    }
    for (const [i, vector] of (body["results"] as Record<string, any>[]).entries()) {
      const { user } = entities[i]!;
      const count = Number(vector["features"]?.count ?? Number.NaN);
      const before = this.#counts.get(user) ?? 0;
      if (!(count >= before) && !this.#mayGoBack) this.#wrong.push(`${user} went from ${before} to ${count}`);
      this.#counts.set(user, count);
      this.#served++;
    }
  }
}
