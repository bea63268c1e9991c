/**
 * Decodes replies of both protocols, by the specification and not by what the door writes: simple on purpose.
 */

/** An error reply, at the top or inside an array. */
export class DecodedError {
  readonly line: string;

  constructor(line: string) {
    this.line = line;
  }
}

/** Bulk strings as byte strings, big numbers as bigints, maps as `Map`, null as null. */
export type Decoded = string | number | bigint | boolean | null | DecodedError | Decoded[] | Map<Decoded, Decoded>;

/** All replies in the bytes. Throws where they are no replies, or the last one is not whole. */
export function decodeReplies(bytes: string): Decoded[] {
  let at = 0;
  const line = (): string => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) throw new Error(`no line end behind ${JSON.stringify(bytes.slice(at, at + 40))}`);
    const text = bytes.slice(at, end);
    at = end + 2;
    return text;
  };
  const count = (text: string): number => {
    if (!/^(?:0|[1-9]\d*)$/.test(text)) throw new Error(`no count: ${JSON.stringify(text)}`);
    return Number(text);
  };
  const one = (): Decoded => {
    const head = line();
    const rest = head.slice(1);
    switch (head[0]) {
      case "+":
        return rest;
      case "-":
        return new DecodedError(rest);
      case ":":
        if (!/^-?\d+$/.test(rest)) throw new Error(`no number: ${rest}`);
        return Number(rest);
      case "(":
        return BigInt(rest);
      case ",":
        if (rest === "nan") return Number.NaN;
        if (rest === "inf" || rest === "-inf") return rest === "inf" ? Infinity : -Infinity;
        if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(rest)) throw new Error(`no double: ${rest}`);
        return Number(rest);
      case "#":
        if (rest !== "t" && rest !== "f") throw new Error(`no boolean: ${rest}`);
        return rest === "t";
      case "_":
        return null;
      case "$": {
        if (rest === "-1") return null;
        const length = count(rest);
        const text = bytes.slice(at, at + length);
        if (bytes.slice(at + length, at + length + 2) !== "\r\n") throw new Error("a bulk string without its end");
        at += length + 2;
        return text;
      }
      case "*":
        return Array.from({ length: count(rest) }, one);
      case "%":
        return new Map(Array.from({ length: count(rest) }, () => [one(), one()] as const));
      default:
        throw new Error(`no reply: ${JSON.stringify(head.slice(0, 40))}`);
    }
  };
  const replies: Decoded[] = [];
  while (at < bytes.length) replies.push(one());
  return replies;
}
