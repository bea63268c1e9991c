import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { BodyAllowance, BytesUnderWay, readBody as readWithin } from "../../src/serve/request-body.ts";

const MEGABYTE = 1024 * 1024;

function readBody(stream: Readable, bytesMax: number, declared: number | undefined): Promise<string> {
  return readWithin(stream, new BodyAllowance(bytesMax), declared);
}

describe("reading a body", () => {
  it("joins characters that were split between chunks, and drops a byte order mark", async () => {
    const bytes = Buffer.from('\ufeff{"city":"Zürich"}');
    const split = bytes.indexOf(0xc3) + 1;
    const stream = Readable.from([bytes.subarray(0, split), bytes.subarray(split)]);
    expect(await readBody(stream, 100, undefined)).toBe('{"city":"Zürich"}');
  });

  it("takes exactly as many bytes as the limit says", async () => {
    const body = (): Readable => Readable.from([Buffer.alloc(60, "x"), Buffer.alloc(40, "x")]);
    expect(await readBody(body(), 100, undefined)).toHaveLength(100);
    await expect(readBody(body(), 99, undefined)).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
    await expect(readBody(body(), 99, 100)).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
  });

  it("does not hold on to a body past the limit, declared or not", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (const declared of [undefined, 50 * MEGABYTE]) {
      const chunks: WeakRef<Buffer>[] = [];
      let alive = 0;
      async function* send(): AsyncGenerator<Buffer> {
        for (let i = 0; i < 50; i++) {
          const chunk = Buffer.alloc(MEGABYTE);
          chunks.push(new WeakRef(chunk));
          yield chunk;
          await setImmediate();
        }
        collect();
        alive = chunks.filter((chunk) => chunk.deref() !== undefined).length;
      }
      const reading = readBody(Readable.from(send(), { highWaterMark: 1 }), 8 * MEGABYTE, declared);
      await expect(reading).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
      expect(chunks).toHaveLength(50);
      expect(alive).toBeLessThan(8);
    }
  });

  it("stops reading one that never ends", async () => {
    let sent = 0;
    async function* send(): AsyncGenerator<Buffer> {
      for (;;) {
        sent++;
        yield Buffer.alloc(MEGABYTE);
        await setImmediate();
      }
    }
    const reading = readBody(Readable.from(send()), 8 * MEGABYTE, undefined);
    await expect(reading).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
    expect(sent).toBeLessThan(100);
  });

  it("refuses with BACKPRESSURE what is too much together, and gives back what it took", async () => {
    const account = new BytesUnderWay(150);
    const body = (): Readable => Readable.from([Buffer.alloc(60, "x"), Buffer.alloc(40, "x")]);
    const first = new BodyAllowance(100, account);
    expect(await readWithin(body(), first, 100)).toHaveLength(100);
    const second = new BodyAllowance(100, account);
    await expect(readWithin(body(), second, 100)).rejects.toMatchObject({ code: "BACKPRESSURE", status: 429 });
    second.release();
    first.hold();
    first.release();
    expect(account.take(51)).toBe(false);
    first.release();
    expect(account.take(150)).toBe(true);
  });
});
