/**
 * The functions in which a server spent its time, from the CPU profile it wrote: self time, the largest first.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";

const SHOWN = 45;

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds between each sample and the one before it. */
  readonly timeDeltas: readonly number[];
}

/** To stderr; shares are of the time in which the server was not idle. */
export async function printHottest(name: string, folder: string): Promise<void> {
  const file = (await readdir(folder)).find((one) => one.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error(`the server wrote no profile to ${folder}`);
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(join(folder, file), "utf8")) as CpuProfile;
  const labels = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === "" ? "" : ` ${basename(url)}:${lineNumber + 1}`;
      return [id, `${functionName === "" ? "(anonymous)" : functionName}${place}`];
    }),
  );
  const selfMicros = new Map<string, number>();
  for (const [i, id] of samples.entries()) {
    const label = labels.get(id)!;
    selfMicros.set(label, (selfMicros.get(label) ?? 0) + timeDeltas[i]!);
  }
  selfMicros.delete("(idle)");
  const total = [...selfMicros.values()].reduce((sum, each) => sum + each, 0);
  console.error(`${name}: ${(total / 1e6).toFixed(1)} s of work, by self time:`);
  for (const [label, self] of [...selfMicros].sort((a, b) => b[1] - a[1]).slice(0, SHOWN)) {
    console.error(`  ${((100 * self) / total).toFixed(1).padStart(5)}%  ${label}`);
  }
}
