/**
 * A time that is promised to users. By hand a test holds the code to it; machines of continuous integration are slow, and
 * busy with other tests, and there it has four times as long, so that a failure says something of the code.
 */
export function promised(milliseconds: number): number {
  return process.env["CI"] === undefined ? milliseconds : 4 * milliseconds;
}
