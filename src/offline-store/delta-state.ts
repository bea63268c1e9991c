/**
 * A table version as the fold of its log's actions (Delta's "action reconciliation"): the newest protocol
 * and metadata, the newest txn of each application, and each path as either added or removed.
 */
import { OnefoldError } from "../base/errors.ts";
import {
  READER_VERSION,
  type AddAction,
  type DeltaAction,
  type MetaDataAction,
  type ProtocolAction,
  type RemoveAction,
  type TxnAction,
} from "./delta-actions.ts";

/** On a file that left the table and was written anew under another name. */
export const REPLACED_BY: string = "replacedBy";

export class DeltaState {
  /** -1 before the first commit. */
  version = -1;
  protocol: ProtocolAction | null = null;
  metaData: MetaDataAction | null = null;
  readonly added: Map<string, AddAction> = new Map();
  /** Files of earlier versions that are no longer part of the table. */
  readonly removed: Map<string, RemoveAction> = new Map();
  /** By path of `removed`: the version that removed it, or one behind that where a checkpoint told of it. */
  readonly removedBy: Map<string, number> = new Map();
  readonly txns: Map<string, TxnAction> = new Map();

  /** Applies one commit (or a whole checkpoint) and takes its version. Throws `TABLE_INVALID` past reader version 1. */
  apply(actions: readonly DeltaAction[], version: number, where: string): void {
    for (const action of actions) {
      if (action.protocol) this.protocol = checkedProtocol(action.protocol, where);
      if (action.metaData) this.metaData = action.metaData;
      if (action.txn) this.txns.set(action.txn.appId, action.txn);
      if (action.add) this.#add(action.add);
      if (action.remove) this.#remove(action.remove, version);
    }
    this.version = version;
  }

  /** Other engines write no tags: those of a file that they bring back are the ones that it had. */
  #add(add: AddAction): void {
    const { [REPLACED_BY]: _by, ...had } = (this.added.get(add.path) ?? this.removed.get(add.path))?.tags ?? {};
    this.added.set(add.path, isTagged(add) ? add : { ...add, tags: had });
    this.removed.delete(add.path);
  }

  #remove(remove: RemoveAction, version: number): void {
    const had = this.added.get(remove.path)?.tags;
    this.added.delete(remove.path);
    this.removed.set(remove.path, isTagged(remove) || !had ? remove : { ...remove, tags: had });
    this.removedBy.set(remove.path, version);
  }

  /** Leaves out files that left the table and are deleted. */
  forget(removed: readonly Pick<RemoveAction, "path">[]): void {
    for (const { path } of removed) {
      this.removed.delete(path);
      this.removedBy.delete(path);
    }
  }

  /** Everything a checkpoint of this version holds. */
  actions(): DeltaAction[] {
    return [
      ...(this.protocol === null ? [] : [{ protocol: this.protocol }]),
      ...(this.metaData === null ? [] : [{ metaData: this.metaData }]),
      ...Array.from(this.txns.values(), (txn) => ({ txn })),
      ...Array.from(this.added.values(), (add) => ({ add: { ...add, dataChange: false } })),
      ...Array.from(this.removed.values(), (remove) => ({ remove: { ...remove, dataChange: false } })),
    ];
  }
}

function isTagged({ tags }: Pick<AddAction | RemoveAction, "tags">): boolean {
  return Object.keys(tags ?? {}).length > 0;
}

function checkedProtocol(protocol: ProtocolAction, where: string): ProtocolAction {
  if (protocol.minReaderVersion <= READER_VERSION) return protocol;
  throw new OnefoldError("TABLE_INVALID", `a table needs Delta reader version ${protocol.minReaderVersion}`, {
    where,
    hint: `this version reads tables up to reader version ${READER_VERSION}`,
  });
}
