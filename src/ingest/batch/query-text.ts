/** A user's query as a part of another: without the `;` at its end, and with an end to the comment that may stand there. */
export function subquery(query: string): string {
  return `(${query.replace(/[\s;]+$/, "")}\n)`;
}
