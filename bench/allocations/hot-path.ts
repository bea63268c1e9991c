/**
 * What the hot path allocates for a vector, and what it may: `delay_model`, 20 features of three views, whose states are in
 * memory, asked for one request at a time on one connection. Bounds are a little more than what was measured, and less than
 * that and one more small object or two: what is looked up by name, or put together anew for each request, is beyond them.
 */
import { behindReads } from "../../src/serve/behind-reads.ts";
import { createFeatureReader, type FeatureReader } from "../../src/serve/feature-reader.ts";
import { openHttpServer } from "../../src/serve/http.ts";
import { openRespServer } from "../../src/serve/resp/server.ts";
import { encodeEntityKey } from "../../src/schema/entity-key.ts";
import { openServingPorts, servedKeys } from "../serving-ports.ts";
import { allocatedBytes } from "./counted-bytes.ts";
import { askOver, serverOn } from "./fake-socket.ts";

export interface Allocation {
  readonly name: string;
  /** A request, median of several stretches of them; the least of some measurements where the first was beyond the bound. */
  readonly bytes: number;
  readonly bytesMax: number;
}

const SERVICE = "delay_model";
const KEPT_BYTES = 16 * 1024 * 1024;

/** With Node 20: other engines allocate otherwise. */
const BYTES_MAX = {
  read: 660,
  "resp-ping": 800,
  "resp-fget": 2850,
  "resp-fgetpacked": 2450,
  "resp-fget-kept": 280,
  "http-vector": 3600,
  "http-vector-kept": 340,
};
const SLACK = process.versions.node.startsWith("20.") ? 1 : 1.5;
/** On a busy machine the engine may not have compiled what it would. */
const TRIES = 3;

export async function hotPathAllocations(): Promise<Allocation[]> {
  const ports = await openServingPorts();
  const reader = createFeatureReader(ports);
  const keeping = createFeatureReader({ ...ports, keptVectorsBytesMax: KEPT_BYTES });
  const found: Allocation[] = [];
  const measure = (name: keyof typeof BYTES_MAX, ask: (n: number) => void): void => {
    let n = 0;
    let bytes = Number.POSITIVE_INFINITY;
    const bytesMax = SLACK * BYTES_MAX[name];
    for (let tries = 0; tries < TRIES && bytes > bytesMax; tries++) {
      bytes = Math.min(
        bytes,
        allocatedBytes(() => ask(n++ % servedKeys.length)),
      );
    }
    found.push({ name, bytes, bytesMax });
  };

  const plan = reader.servicePlan(SERVICE);
  const keys = servedKeys.map((of) =>
    plan.entities.map((entity) => {
      const parts = entity.keys.map(({ name }) => of[name]!);
      return encodeEntityKey(
        parts,
        entity.keys.map(({ type }) => type),
      );
    }),
  );
  measure("read", (n) => void reader.read(plan, keys[n]!));

  const closers: (() => Promise<void>)[] = [];
  const overResp = async (
    of: FeatureReader,
    command: (n: number) => readonly string[],
  ): Promise<(n: number) => void> => {
    const door = await openRespServer(of, ports, "0.0.0", { port: 0 });
    closers.push(() => door.close());
    return asking(
      door.port,
      keys.map((_, n) => respCommand(command(n))),
    );
  };
  measure("resp-ping", await overResp(reader, () => ["PING"]));
  measure("resp-fget", await overResp(reader, (n) => ["FGET", SERVICE, ...keys[n]!]));
  measure("resp-fgetpacked", await overResp(reader, (n) => ["FGETPACKED", SERVICE, ...keys[n]!]));
  measure("resp-fget-kept", await overResp(keeping, (n) => ["FGET", SERVICE, ...keys[n]!]));

  const overHttp = async (of: FeatureReader): Promise<(n: number) => void> => {
    const server = await openHttpServer(of, ports, { port: 0 });
    closers.push(() => server.close());
    return asking(server.port, servedKeys.map(httpRequest));
  };
  measure("http-vector", await overHttp(reader));
  measure("http-vector-kept", await overHttp(keeping));
  for (const close of closers) await close();
  return found;
}

/** One request a turn, whose answer goes out at the turn's end. */
async function asking(port: number, requests: readonly Buffer[]): Promise<(n: number) => void> {
  const ask = askOver(await serverOn(port));
  return (n) => {
    ask(requests[n]!);
    behindReads.sendWaiting();
  };
}

function respCommand(args: readonly string[]): Buffer {
  return Buffer.from(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`, "latin1");
}

function httpRequest(entities: object): Buffer {
  const body = JSON.stringify({ entities });
  const head = `POST /services/${SERVICE}/vector HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  return Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`);
}
