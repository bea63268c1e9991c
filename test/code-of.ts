import { isOnefoldError } from "../src/base/errors.ts";

/** The code of the error that work rejects with; the text of one that has none, and "no error" where there is none. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  return isOnefoldError(error) ? error.code : String(error);
}
