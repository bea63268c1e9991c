/** `onefold audit`: vectors that were served, computed again from the log and compared bit for bit. */
import { Command } from "commander";
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { Platform } from "../../platform.ts";
import { EXIT } from "../exit-codes.ts";
import { interruptible } from "../interrupt.ts";
import { withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { auditServedFile, type ServedFileOptions, withServedFileOptions } from "../served-file-audit.ts";
import { withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatCell } from "../table.ts";

interface AuditOptions extends ServedFileOptions {
  readonly states?: true;
}

export function auditCommand(): Command {
  const command = new Command("audit")
    .description("recompute sampled served vectors from the log and compare them bit for bit")
    .option("--states", "compare the bytes of every stored state as well")
    .action(async (options: AuditOptions) => {
      const { served } = options;
      if (served !== undefined) return auditServedFile({ ...options, served });
      const output = createOutput(options.json === true);
      const report = await output.withProgress("audit", (onProgress) =>
        withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
          interruptible((signal) => platform.audit({ states: options.states === true, onProgress, signal })),
        ),
      );
      output.result(report, () => formatAudit(report));
      const states = Object.values(report.states ?? {});
      const differs = report.mismatched > 0 || states.some((each) => each.mismatched > 0 || each.missing > 0);
      if (differs) process.exitCode = EXIT.mismatch;
    });
  return withStandardOptions(withWorkerTableOptions(withServedFileOptions(command)));
}

function formatAudit(report: Awaited<ReturnType<Platform["audit"]>>): string {
  const { vectors, compared, mismatched, missing, pending, fellBack, states } = report;
  const lines = [
    `${formatCount(vectors)} vectors: ${formatCount(compared)} values compared, ${formatCount(mismatched)} mismatched`,
  ];
  if (missing > 0) lines.push(`${formatCount(missing)} values could not be computed again:`, ...report.missingReasons);
  if (pending > 0) lines.push(`${formatCount(pending)} values wait for events that are not archived yet`);
  if (fellBack > 0)
    lines.push(`${formatCount(fellBack)} values were served as the fallback of a view that was not fresh`);
  for (const mismatch of report.firstMismatches) {
    const of = `${mismatch.service} ${mismatch.feature ?? mismatch.view} of ${JSON.stringify(mismatch.keys)}`;
    lines.push(
      `! ${of} as of ${formatMicros(mismatch.asOf as Micros)}`,
      `    served ${formatCell(mismatch.served)}, recomputed ${formatCell(mismatch.recomputed)}`,
      `    ${mismatch.explanation}`,
    );
  }
  for (const [view, result] of Object.entries(states ?? {})) {
    lines.push(`${view}: ${formatCount(result.states)} states compared, ${formatCount(result.mismatched)} mismatched`);
    for (const { key, explanation } of result.firstMismatches) lines.push(`! state of ${key}`, `    ${explanation}`);
  }
  return lines.join("\n");
}
