/** What a server says of itself at its start: what it serves, what it computes first, and what it does not answer. */
import { asOnefoldError } from "../base/errors.ts";
import type { CallRoute } from "./serving.ts";

export interface ServeStart {
  readonly views: number;
  readonly on_demand_views: number;
  readonly services: number;
  /** A sentence each. */
  readonly notes: readonly string[];
}

export interface StartedServer {
  readonly data: string;
  /** Whether it has a definitions file. */
  readonly hasDefinitions: boolean;
  readonly request: CallRoute;
}

export async function serveStart({ data, hasDefinitions, request }: StartedServer): Promise<ServeStart> {
  const registered = await request("GET", "/registry");
  const count = (kind: string): number => (registered[kind] as readonly unknown[]).length;
  const [views, on_demand_views, services] = [count("views"), count("on_demand_views"), count("services")];
  const isEmpty = !hasDefinitions && views + services + count("sources") === 0;
  return {
    views,
    on_demand_views,
    services,
    notes: [...(isEmpty ? [emptyNote(data)] : []), ...(await readyNotes(request))],
  };
}

/** As `GET /ready` has it. */
async function readyNotes(request: CallRoute): Promise<readonly string[]> {
  try {
    const { building = [], warnings = [] } = await request("GET", "/ready");
    return [
      ...(warnings as string[]).map((warning) => `warning: ${warning}`),
      ...(building as string[]).map((view) => `${view} is being computed from history, and served then`),
    ];
  } catch (error) {
    const { message, hint } = asOnefoldError(error);
    return [`not ready (GET /ready answers 503): ${message}${hint === undefined ? "" : `; ${hint}`}`];
  }
}

function emptyNote(data: string): string {
  return (
    `warning: no definitions file was found and nothing is registered in ${data}, so every request for features is answered 404 ` +
    "until something is applied; look at the folder you are in, --data and --definitions"
  );
}

/** `4 views, 1 on-demand view, 3 services`. */
export function servedText({ views, on_demand_views: onDemand, services }: ServeStart): string {
  const counts = [counted(views, "view"), counted(onDemand, "on-demand view"), counted(services, "service")];
  return counts.filter((_, i) => i !== 1 || onDemand > 0).join(", ");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
