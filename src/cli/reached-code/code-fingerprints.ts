/**
 * Fingerprints of the functions of definitions: hashes of exactly the code that they can reach. That is their own,
 * every top-level variable that it mentions with the code of that, and so on, and whatever else may change what such a
 * variable holds. Comments, white space, the names of variables and files, and what is not reached do not count.
 *
 * It reads the bundle that is run. What it cannot see: code that changes something by the names of members that are
 * computed, by getters, or by an object that it is given by the engine.
 */
import { createHash } from "node:crypto";
import { parse } from "acorn";
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import type { DefinedAt } from "../../define/defined-at.ts";
import { sourcePlaces } from "../purity/source-places.ts";
import { type BundleNames, CanonicalForm } from "./canonical-form.ts";
import { Effects } from "./effects.ts";
import { type DefinitionCode, type Root, Roots } from "./roots.ts";
import { isTopLevel, type Unit, Units } from "./units.ts";

export class CodeFingerprints {
  readonly #units: Units;
  readonly #effects: Effects;
  readonly #roots: Roots;
  readonly #names: BundleNames;

  constructor(code: string, names: BundleNames) {
    const options = { ecmaVersion: "latest", sourceType: "module", locations: true, ranges: true } as const;
    const program = parse(code, options) as unknown as tree.Program;
    this.#names = names;
    this.#units = new Units(program);
    this.#effects = new Effects(this.#units, names.door);
    this.#roots = new Roots(this.#units, program, code, names.door, sourcePlaces(code));
  }

  /** SHA-256 of what the functions of one definition reach. `definedAt` is where it was made. */
  of(functions: Readonly<Record<string, DefinitionCode | undefined>>, definedAt: DefinedAt | undefined): string {
    const roots = Object.entries(functions).flatMap(([role, code]) =>
      code === undefined ? [] : [{ role, root: this.#roots.of(role, code, definedAt) }],
    );
    const everything: Root = { kind: "everything" };
    const reached = this.#reach(roots) ?? this.#reach(roots.map(({ role }) => ({ role, root: everything })))!;
    return createHash("sha256").update(reached).digest("hex");
  }

  /** Null where it has an `eval`, which may read any variable. */
  #reach(roots: readonly { readonly role: string; readonly root: Root }[]): string | null {
    const reached = new Set<Unit>();
    const variables = new Set<Variable>();
    const form = new CanonicalForm(this.#units, this.#names, (variable) => {
      if (!isTopLevel(variable)) return;
      variables.add(variable);
      for (const unit of this.#units.declaring(variable)) reached.add(unit);
    });
    for (const { role, root } of roots) {
      form.token(`role ${role}`);
      if (root.kind === "node") form.write(root.node);
      else for (const unit of this.#unitsOf(root)) reached.add(unit);
    }
    for (const unit of this.#units.all) if (this.#effects.changes(unit).ofGlobals) reached.add(unit);
    const written = new Map<Unit, number>();
    do {
      // A set gives what is added to it while it is gone through.
      for (const unit of reached) {
        if (written.has(unit)) continue;
        form.token(`unit ${written.size}`);
        form.write(unit.node);
        written.set(unit, written.size);
      }
      for (const unit of this.#changing(variables)) reached.add(unit);
    } while (reached.size > written.size);
    const inOrder = [...written.keys()].filter((unit) => this.#effects.acts(unit)).sort((a, b) => a.place - b.place);
    form.token(`order ${inOrder.map((unit) => written.get(unit)!).join(" ")}`);
    return form.hasEval && !roots.every(({ root }) => root.kind === "everything") ? null : form.text();
  }

  #unitsOf(root: Exclude<Root, { kind: "node" }>): readonly Unit[] {
    switch (root.kind) {
      case "unit":
        return [root.unit];
      case "callers": {
        const callers = this.#running([root.unit]);
        return [root.unit, ...this.#units.all.filter((unit) => callers.has(unit) && this.#effects.acts(unit))];
      }
      case "everything":
        return this.#units.all;
    }
  }

  /** What may change what a variable holds, beside what declares it. In the order in which it runs. */
  #changing(variables: ReadonlySet<Variable>): Unit[] {
    const changeable = [...variables].filter((variable) => this.#effects.isChangeable(variable));
    const mayChange = this.#running(changeable.flatMap((variable) => this.#effects.handing(variable)));
    return this.#units.all.filter((unit) => {
      for (const variable of this.#effects.changes(unit).variables) if (variables.has(variable)) return true;
      if (!this.#effects.acts(unit)) return false;
      // A module is evaluated once, whoever imports it.
      const evaluated = this.#effects.evaluated(unit);
      if (evaluated !== null && variables.has(evaluated)) return false;
      if (mayChange.has(unit)) return true;
      return (
        !unit.isDeclaration &&
        [...unit.mentions].some((variable) => variables.has(variable) && this.#mayHand(unit, variable))
      );
    });
  }

  /** Whether a statement may change it in a way that cannot be seen, having handed it to somebody. */
  #mayHand(unit: Unit, variable: Variable): boolean {
    if (variable.defs.some(({ type }) => type === "ImportBinding")) return false;
    return this.#effects.isChangeable(variable) || this.#effects.usesAsValue(unit, variable);
  }

  /** Units, and what may call what they declare. Who mentions a definition does not run what the definition mentions. */
  #running(units: readonly Unit[]): Set<Unit> {
    const found = new Set(units);
    // A set gives what is added to it while it is gone through.
    for (const unit of found) {
      if (this.#effects.isDefinition(unit)) continue;
      for (const variable of unit.declares) for (const other of this.#units.mentioning(variable)) found.add(other);
    }
    return found;
  }
}
