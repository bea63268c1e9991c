/**
 * What commands print. Results go to stdout: one JSON object with `--json`, text for people without.
 * Everything else (progress, notes, errors for people) goes to stderr.
 */
import { asOnefoldError } from "../base/errors.ts";
import { type OnProgress, startProgress } from "./progress.ts";

export interface Output {
  readonly json: boolean;
  /** Prints the command's one result. `text` is only called when it is wanted. */
  result(value: object, text: () => string): void;
  /** A part of the result for people, on stdout; nothing with `--json`. */
  say(text: string): void;
  /** One of several results, as a line of JSON; nothing without `--json`. */
  record(value: object): void;
  /** A line for people, on stderr; nothing with `--json`. */
  note(line: string): void;
  /** Runs `work` with a progress display on stderr, which is gone when this resolves or rejects. */
  withProgress<T>(title: string, work: (onProgress: OnProgress) => Promise<T>): Promise<T>;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result(value, text): void {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text()}\n`);
    },
    say(text): void {
      if (!json) process.stdout.write(`${text}\n`);
    },
    record(value): void {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note(line): void {
      if (!json) process.stderr.write(`${line}\n`);
    },
    async withProgress(title, work) {
      const progress = startProgress(title, process.stderr);
      try {
        return await work(progress.update);
      } finally {
        progress.stop();
      }
    },
  };
}

/** A failure of a running server: what failed at which request, on stderr; the stack only on request. */
export function printServerError(thrown: unknown, request: string, options: { readonly debug: boolean }): void {
  const { code, message, where } = asOnefoldError(thrown);
  const stack = options.debug && thrown instanceof Error ? `\n${thrown.stack}` : "";
  process.stderr.write(`${code}: ${message}${where === undefined ? "" : ` (${where})`}, at ${request}${stack}\n`);
}

export interface ErrorPrinting {
  readonly json: boolean;
  readonly debug: boolean;
  /** Which cycle of a command that goes on after an error it was. */
  readonly cycle?: number;
}

/** Code, what, where, hint and candidates; the stack only on request. */
export function printError(thrown: unknown, options: ErrorPrinting): void {
  if (options.json) {
    const { cycle } = options;
    const error = asOnefoldError(thrown);
    process.stdout.write(`${JSON.stringify({ ...(cycle === undefined ? {} : { cycle }), error })}\n`);
  } else {
    process.stderr.write(`${errorLines(thrown).join("\n")}\n`);
  }
  if (options.debug) process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
}

export function errorLines(thrown: unknown): string[] {
  const error = asOnefoldError(thrown);
  const lines = [`${error.code}: ${error.message}`];
  if (error.where !== undefined) lines.push(`  where: ${error.where}`);
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint}`);
  if (error.candidates !== undefined && error.candidates.length > 0) {
    lines.push(`  candidates: ${error.candidates.join(", ")}`);
  }
  return lines;
}
