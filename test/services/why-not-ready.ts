/**
 * What can be seen from outside of a process that does not get ready: what each of its threads does, as Linux says it, and
 * what the machine has left. For people who read why a start failed; nothing here fails.
 */
import { readdir, readFile, statfs } from "node:fs/promises";
import { freemem, loadavg, totalmem } from "node:os";
import { join } from "node:path";

const TICKS_A_SECOND = 100;

export async function whyNotReady(pid: number, folder: string): Promise<string> {
  const threads = await threadsOf(pid).catch(() => []);
  return [await machineNow(folder), `threads of process ${pid}:`, ...threads.map((each) => `  ${each}`)].join("\n");
}

async function machineNow(folder: string): Promise<string> {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;
  const room = await statfs(folder).then(
    ({ bavail, bsize }) => megabytes(bavail * bsize),
    () => "unknown room",
  );
  const load = loadavg().map((each) => each.toFixed(1));
  return `load ${load.join(" ")}; ${megabytes(freemem())} of ${megabytes(totalmem())} of memory free; ${room} free in ${folder}`;
}

/** Name, state (R runs, S sleeps, D waits for a disk, T stopped), processor time, and where in the kernel it waits. */
async function threadsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/task`;
  const described = (await readdir(folder)).map(async (thread) => {
    const read = (file: string): Promise<string> => readFile(join(folder, thread, file), "utf8").catch(() => "");
    const stat = await read("stat");
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
    return `${name}: ${fields[0]}, ${seconds.toFixed(2)} s, ${(await read("wchan")) || "-"}`;
  });
  return Promise.all(described);
}
