/** The metrics that an expression of PromQL reads, and those that a server shows. */

/** Names that begin like ours or a process's; recorded ones, which have a colon, are not among them. */
export function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\b(?:onefold|process)_[a-z0-9_]+\b(?!:)/g)].map(([name]) => name);
}

/** As the page declares them, histograms by the names of their lines. */
export function declaredMetrics(page: string): ReadonlySet<string> {
  const declared = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    declared.flatMap(([, name, type]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name!],
    ),
  );
}
