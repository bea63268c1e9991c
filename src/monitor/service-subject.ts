/**
 * A service as the subject of a signal: its id, with the fit that its values were transformed with.
 *
 *     fraud    fraud@2    fraud fit 3    fraud@2 fit 3
 *
 * It was `fraud@3` of fit 3, before services had versions; silences may still say so.
 */
import { bareNameOf } from "../define/service-version.ts";

const FIT = " fit ";

export function serviceSubject(id: string, fit: number | null): string {
  return fit === null ? id : `${id}${FIT}${fit}`;
}

/** The id in it. */
export function idOfSubject(subject: string): string {
  return subject.split(FIT, 1)[0]!;
}

/** How it was written before services had versions; null of what was not there then. */
export function formerSubject(subject: string): string | null {
  const [id, fit] = subject.split(FIT) as [string, string | undefined];
  return fit === undefined || bareNameOf(id) !== id ? null : `${id}@${fit}`;
}
