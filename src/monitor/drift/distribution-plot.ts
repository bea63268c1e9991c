/**
 * Both distributions of a feature as one SVG picture. Observable Plot draws it, into a document of linkedom's: no
 * browser, and nothing that the picture needs when it is looked at.
 */
import { barX, barY, type Markish, plot, rectY, ruleX, ruleY } from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { CellCounts, Cells } from "./cells.ts";

export const BASELINE_COLOUR = "#8d99ae";
export const CURRENT_COLOUR = "#d1495b";

const WIDTH = 560;
const BAR_HEIGHT = 22;
/** Categories in a picture; the rest is in the table. */
const BARS_MAX = 20;

const SIDES = ["baseline", "current"] as const;

/** An `<svg>` element as text. */
export function distributionSvg(cells: Cells): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const options = cells.edges !== null ? intervals(cells, cells.edges) : values(cells, cells.labels!);
  const figure = plot({
    document,
    width: WIDTH,
    color: { domain: [...SIDES], range: [BASELINE_COLOUR, CURRENT_COLOUR] },
    ...options,
  });
  return figure.outerHTML;
}

function intervals(cells: Cells, edges: Float64Array): { marks: Markish[]; height: number; y: object; x: object } {
  const bars = SIDES.flatMap((side) =>
    Array.from(cells[sideOf(side)].counts, (count, i) => ({
      side,
      x1: edges[i]!,
      x2: edges[i + 1]!,
      part: partOf(cells[sideOf(side)], count),
    })),
  );
  return {
    height: 200,
    x: { label: null },
    y: { label: "part of the values, %", percent: true, grid: true },
    marks: [
      rectY(bars, { x1: "x1", x2: "x2", y2: "part", y1: 0, fill: "side", fillOpacity: 0.55, inset: 0.5 }),
      ruleY([0]),
    ],
  };
}

/** The commonest first; bars of both sides under each other. */
function values(
  cells: Cells,
  labels: readonly string[],
): { marks: Markish[]; height: number; y: object; x: object; fy?: object; marginLeft?: number } {
  const all = labels.map((label, i) => ({
    label,
    parts: SIDES.map((side) => partOf(cells[sideOf(side)], cells[sideOf(side)].counts[i]!)),
  }));
  // Numbers stay in their order.
  const isNumeric = labels.every((label) => label !== "" && Number.isFinite(Number(label)));
  if (isNumeric && labels.length <= BARS_MAX) return columns(all);
  const shown = all.toSorted((a, b) => Math.max(...b.parts) - Math.max(...a.parts)).slice(0, BARS_MAX);
  const bars = shown.flatMap(({ label, parts }) =>
    SIDES.map((side, i) => ({ label: shortLabel(label), side, part: parts[i]! })),
  );
  return {
    height: 40 + 2 * BAR_HEIGHT * shown.length,
    marginLeft: 130,
    x: { label: "part of the values, %", percent: true, grid: true },
    y: { axis: null, domain: [...SIDES] },
    fy: { label: null, domain: shown.map(({ label }) => shortLabel(label)) },
    marks: [barX(bars, { fy: "label", y: "side", x: "part", fill: "side" }), ruleX([0])],
  };
}

function columns(all: readonly { readonly label: string; readonly parts: readonly number[] }[]): {
  marks: Markish[];
  height: number;
  y: object;
  x: object;
  fx: object;
} {
  const bars = all.flatMap(({ label, parts }) => SIDES.map((side, i) => ({ label, side, part: parts[i]! })));
  return {
    height: 200,
    fx: { label: null, domain: all.map(({ label }) => label) },
    x: { axis: null, domain: [...SIDES] },
    y: { label: "part of the values, %", percent: true, grid: true },
    marks: [barY(bars, { fx: "label", x: "side", y: "part", fill: "side" }), ruleY([0])],
  };
}

function sideOf(side: (typeof SIDES)[number]): "reference" | "current" {
  return side === "baseline" ? "reference" : "current";
}

function partOf({ total }: CellCounts, count: number): number {
  return count / total;
}

function shortLabel(label: string): string {
  const characters = [...label];
  return characters.length <= 20 ? label : `${characters.slice(0, 19).join("")}…`;
}
