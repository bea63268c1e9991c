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
      if (action.add) {
        this.added.set(action.add.path, action.add);
        this.removed.delete(action.add.path);
      }
      if (action.remove) {
        this.added.delete(action.remove.path);
        this.removed.set(action.remove.path, action.remove);
        this.removedBy.set(action.remove.path, version);
      }
    }
    this.version = version;
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

function checkedProtocol(protocol: ProtocolAction, where: string): ProtocolAction {
  if (protocol.minReaderVersion <= READER_VERSION) return protocol;
  throw new OnefoldError("TABLE_INVALID", `a table needs Delta reader version ${protocol.minReaderVersion}`, {
    where,
    hint: `this version reads tables up to reader version ${READER_VERSION}`,
  });
}
