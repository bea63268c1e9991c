/** `onefold lineage`: what is computed from what. */
import { Command } from "commander";
import type { LineageEdge } from "../../registry/registry.ts";
import { createOutput } from "../output.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";

export function lineageCommand(): Command {
  const command = new Command("lineage")
    .description("show what is computed from what: source, view, on-demand view, service")
    .argument("[name]", "only what lies before and after this definition")
    .action(async (name: string | undefined, options: StandardOptions) => {
      const all = await withPlatform(options, "read", async (platform) => platform.registry.lineage());
      const edges = name === undefined ? all : connectedTo(name, all);
      createOutput(options.json === true).result({ edges }, () =>
        edges.length === 0
          ? "nothing registered is connected"
          : edges.map(({ from, to }) => `${from} -> ${to}`).join("\n"),
      );
    });
  return withStandardOptions(command);
}

/** Edges on a way through `name`, given with or without kind and version: `spending` finds `view spending@2`. */
export function connectedTo(name: string, edges: readonly LineageEdge[]): LineageEdge[] {
  const isNamed = (node: string): boolean => {
    const bare = node
      .slice(node.lastIndexOf(" ") + 1)
      .split(":")
      .at(-1)!;
    return node === name || bare === name || bare.split("@")[0] === name;
  };
  const reach = (from: (edge: LineageEdge) => string, to: (edge: LineageEdge) => string): Set<LineageEdge> => {
    const found = new Set(edges.filter((edge) => isNamed(from(edge))));
    // A set grows while it is walked, so this visits what it finds.
    for (const edge of found) {
      for (const next of edges) if (from(next) === to(edge)) found.add(next);
    }
    return found;
  };
  const after = reach(
    (edge) => edge.from,
    (edge) => edge.to,
  );
  const before = reach(
    (edge) => edge.to,
    (edge) => edge.from,
  );
  return edges.filter((edge) => before.has(edge) || after.has(edge));
}
