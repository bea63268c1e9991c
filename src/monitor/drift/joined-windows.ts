/** Windows of several folders as of one: what is folded here, and what workers fold beside their tables. */
import type { DriftWindow } from "./drift-window.ts";
import type { TimeRange, WindowFolder } from "./window-folder.ts";

/** What is read and forgotten of windows, wherever they lie. */
export type KeptWindows = Pick<WindowFolder, "services" | "read" | "forget">;

export function joinedWindows(folders: readonly KeptWindows[]): KeptWindows {
  return {
    services: async () => {
      const names = await Promise.all(folders.map((folder) => folder.services()));
      return [...new Set(names.flat())].toSorted();
    },
    read: async (service: string, range: TimeRange, fit?: number | null): Promise<DriftWindow[]> => {
      const windows = await Promise.all(folders.map((folder) => folder.read(service, range, fit)));
      return windows.flat().toSorted((a, b) => a.startMicros - b.startMicros);
    },
    forget: async (service: string): Promise<void> => {
      for (const folder of folders) await folder.forget(service);
    },
  };
}
