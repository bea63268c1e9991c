/** Views of one entity that share tails, on a store that tells what is committed. */
import type { ViewDefinition } from "../../src/define/definition.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { tailSpace } from "../../src/ingest/tail-group.ts";
import type { ViewRunner } from "../../src/ingest/view-runner.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import type { StateWrite } from "../../src/online-store/online-store.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { hex, payment, type Stage, TestClock, userView } from "./payments.ts";

export const USER_TAILS = tailSpace("payments", "user", ["user"]);

export function ofUser(name: string, more: Partial<ViewDefinition>): ViewDefinition {
  return { ...userView, offline: false, ...more, name };
}

export function storedOf(runner: ViewRunner): Record<string, string> {
  return Object.fromEntries(Array.from(runner.storedStates(), ({ key, bytes }) => [key, hex(bytes)]));
}

/** As they are served: from memory, or read anew. */
export function liveOf(runner: ViewRunner, keys: readonly string[]): Record<string, string> {
  const { fold } = runner.view;
  return Object.fromEntries(keys.map((key) => [key, hex(fold.encode(runner.state(key) ?? fold.empty()))]));
}

/** A stage whose store tells what is committed. */
export function watchedStage(): Stage & { readonly commits: (readonly StateWrite[])[] } {
  const store = new MemoryOnlineStore();
  const commits: (readonly StateWrite[])[] = [];
  const commitAlone = store.commitAlone.bind(store);
  store.commitAlone = (states, metas) => {
    commits.push(states);
    return commitAlone(states, metas);
  };
  return { storage: new ForgetfulStorage(), store, clock: new TestClock(), commits };
}

export async function pushOne(pipeline: SourcePipeline, n: number): Promise<void> {
  await pipeline.push([payment(n, { user: "u" })]);
  await pipeline.drain();
}
