/**
 * Retires a version, or an experiment that was stopped: refused while anything reads it, then out of the registry, and its room is given back.
 *
 *     who reads it   aliases, what is kept to go back to, definitions (the registry says so)
 *                    and who has read it lately: by the day, as this data folder has counted it
 *     what goes      its states, and its table of feature rows; the events that it was folded from stay
 */
import type { Clock } from "../base/clock.ts";
import { type Definition, formatViewName } from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import { kindOf } from "../registry/alias-moves.ts";
import { versionOf } from "../registry/definition-set.ts";
import { stillRead } from "../registry/retire-version.ts";
import type { AskedRetirement, RetiredVersion } from "../registry/retired-version.ts";
import type { Registry } from "../registry/registry.ts";
import type { RecentReads, RetireOptions, Retirement } from "../serve/version-desk.ts";
import { countedElsewhere, firstDayOf, readUsageDays } from "./monitoring/usage-files.ts";

export interface RetireHouse {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly dataDir: string;
  /** Whether servers with data folders of their own serve what is registered here, too. */
  readonly isShared: boolean;
  /** Whether servers read copies of its states, and may have data folders of their own. */
  readonly publishes: boolean;
  /** Writes what was counted so far. */
  keepUsage(): Promise<void>;
  /** In its turn among applies; resolves once nothing is folded or stored of it any more. */
  retire(asked: AskedRetirement): Promise<RetiredVersion>;
  /** Of states in the online store; null where nobody says. */
  stateBytes(view: string): number | null;
  tableBytes(table: string): Promise<number>;
}

/** Days that count as lately. */
const DAYS = 7;

/** Throws as `Registry.retire`; `STILL_READ` also where it was read lately and `force` does not say to retire it all the same. */
export async function retireVersion(
  house: RetireHouse,
  target: string,
  { kind, by, days = DAYS, force = false, dry_run: isDryRun = false }: RetireOptions,
): Promise<Retirement> {
  const asked = { target, by, ...(kind === undefined ? {} : { kind }) };
  const { definition, readers } = house.registry.readersOf(asked);
  await house.keepUsage();
  const reads = await recentReads(house, definition, days);
  const frame = {
    kind: kindOf(definition) ?? ("experiment" as const),
    name: definition.name,
    version: versionOf(definition) as number | null,
    readers,
    recent_reads: reads,
  };
  const bytes = await bytesOf(house, definition);
  if (isDryRun) return { retired: false, ...frame, ...bytes };
  const lately = force ? [] : (reads?.map((one) => readText(one, days)) ?? [unknownReads(days)]);
  if (readers.length + lately.length > 0) throw stillRead(definition, [...readers, ...lately]);
  await house.retire(asked);
  return { retired: true, ...frame, ...bytes };
}

async function bytesOf(
  house: RetireHouse,
  definition: Definition,
): Promise<Pick<Retirement, "state_bytes" | "table_bytes">> {
  if (definition.kind !== "view") return { state_bytes: 0, table_bytes: 0 };
  const view = formatViewName(definition);
  return { state_bytes: house.stateBytes(view), table_bytes: await house.tableBytes(`features/${view}`) };
}

function readText({ consumer, reads, last_read_on: on }: RecentReads, days: number): string {
  const who = consumer === "" ? "somebody without a name" : `the consumer ${consumer}`;
  return `${who} has read it ${reads} times in ${days} days, last on ${on}`;
}

function unknownReads(days: number): string {
  return `who has read it in ${days} days is not known here: other servers count that in their data folders, and this one has none of it; ask each with --dry-run, then give it --force`;
}

/**
 * By consumer: vectors of a service, values of a view's features. Null where others serve it, and what they count is not here:
 * that says nothing of who reads it.
 */
async function recentReads(
  { dataDir, clock, isShared, publishes }: RetireHouse,
  definition: Definition,
  days: number,
): Promise<readonly RecentReads[] | null> {
  // Its own name is nobody's count: what is served by it is counted as of the versions.
  if (definition.kind === "experiment") return [];
  const found = new Map<string, RecentReads>();
  const usage = await readUsageDays(dataDir, firstDayOf(days, clock.now()));
  if (isShared && usage.length === 0) return null;
  if (publishes && !(await countedElsewhere(dataDir, firstDayOf(days, clock.now())))) return null;
  for (const { day, reads, services = [] } of usage) {
    const counted =
      definition.kind === "service"
        ? services
            .filter(({ service }) => service === serviceId(definition))
            .map(({ consumer, vectors }) => ({ consumer, reads: vectors }))
        : reads.filter(({ view }) => view === formatViewName(definition as { name: string; version: number }));
    for (const { consumer, reads: count } of counted) {
      const before = found.get(consumer)?.reads ?? 0;
      found.set(consumer, { consumer, reads: before + count, last_read_on: day });
    }
  }
  return [...found.values()].sort((a, b) => b.reads - a.reads || (a.consumer < b.consumer ? -1 : 1));
}
