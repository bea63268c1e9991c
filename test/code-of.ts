/** The code of the error that work rejects with; the text of one that has none, and "no error" where there is none. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  // Also of what was built, which has a class of its own for them.
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : String(error);
}
