/**
 * A fit as text, guarded by a checksum: what a file holds, or a row of a database.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServiceDefinition } from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import { type Data, fromData, hashText, toData } from "./definition-data.ts";
import type { FittedService, NewFit } from "./fitted-service.ts";

const FORMAT = 1;

type StoredContent = Omit<FittedService, "definition" | "sha256"> & { readonly definition: Data };

export function encodeFit(fit: NewFit, version: number): { readonly text: string; readonly stored: FittedService } {
  const content: StoredContent = { ...fit, definition: toData(fit.definition), version };
  const sha256 = hashText(JSON.stringify(content));
  return {
    text: `${JSON.stringify({ format: FORMAT, sha256, content }, null, 1)}\n`,
    stored: { ...fit, version, sha256 },
  };
}

/** The fit, or why it cannot be read. `where` the text stands. */
export function decodeFit(text: string, where: string, service: string, version: number): FittedService | OnefoldError {
  try {
    const { format, sha256, content } = JSON.parse(text) as {
      readonly format?: unknown;
      readonly sha256?: unknown;
      readonly content?: StoredContent;
    };
    if (format !== FORMAT) return corruptFit(where, `its format is ${String(format)}, this version reads ${FORMAT}`);
    if (content === undefined || typeof sha256 !== "string" || hashText(JSON.stringify(content)) !== sha256) {
      return corruptFit(where, "its checksum does not match its content");
    }
    const definition = fromData(content.definition) as ServiceDefinition;
    if (serviceId(definition) !== service || content.version !== version) {
      return corruptFit(where, `it is fit ${content.version} of service "${serviceId(definition)}"`);
    }
    return { ...content, definition, sha256 };
  } catch (error) {
    return corruptFit(where, (error as Error).message, error);
  }
}

export function corruptFit(where: string, why: string, cause?: unknown): OnefoldError {
  return new OnefoldError("FIT_CORRUPT", `a fit cannot be read: ${why}`, {
    where,
    hint: "restore it from a backup, or fit again",
    cause,
  });
}
