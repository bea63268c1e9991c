/**
 * What a training set was made from: all that is needed to make it again, or to see why it would differ.
 */
export type Knowledge = "as-known" | "final" | "as-served";

/** Label rows that were generated, instead of read from a file. */
export interface GeneratedRows {
  readonly everyMicros: number;
  /** "all", or the file of entities. */
  readonly entities: string;
  /** First and last tick, RFC 3339. */
  readonly from: string;
  readonly to: string;
}

/** A part of the label rows, by time: from `from` on, before `until`, RFC 3339; null where it is not bounded. */
export interface SplitPart {
  readonly name: string;
  readonly from: string | null;
  readonly until: string | null;
  readonly rows: number;
}

/** One of the services of a training set. */
export interface ServiceRecord {
  readonly name: string;
  readonly fingerprint: string;
  /** What its transformations were fitted to, and the hash of it; null where none is fitted, or rows differ in it. */
  readonly fit: { readonly version: number; readonly sha256: string } | null;
  /** Every fit that rows were transformed with, by version; several only for `as-served`, where a token carries one. */
  readonly fits: readonly {
    readonly version: number;
    readonly sha256: string;
    /** Of the service's definition that it is of. */
    readonly fingerprint: string;
    readonly rows: number;
  }[];
  /** Label column with the tokens of its vectors; null where there is none. */
  readonly tokenColumn: string | null;
}

/** Written beside the training set as `<out>.manifest.json`. */
export interface TrainingManifest {
  /** 1 was of one service, and had what `services` says of it at its top. */
  readonly manifest: 2;
  /** RFC 3339. */
  readonly created: string;
  /** In the order of their features. */
  readonly services: readonly ServiceRecord[];
  readonly views: readonly {
    readonly name: string;
    readonly version: number | "dev";
    readonly fingerprint: string;
    readonly entity: string;
    readonly source: string;
    /** Epochs of history that its values were computed from; several only for `as-served`. */
    readonly epochs: readonly number[];
    readonly eventsFolded: number;
    readonly eventsPoisoned: number;
  }[];
  /** On-demand views that computed some of the features. */
  readonly onDemandViews: readonly {
    readonly name: string;
    readonly version: number | "dev";
    readonly fingerprint: string;
  }[];
  readonly sources: readonly {
    readonly name: string;
    readonly epoch: number;
    /** Offset behind the last event of history, and behind the last live one. */
    readonly historyEnd: number;
    readonly liveEnd: number;
    /** RFC 3339; null for a log without events. */
    readonly logEnd: string | null;
  }[];
  readonly knowledge: Knowledge;
  /** Whether a label at `t` sees events known at exactly `t`; null for `as-served`, where the token decides. */
  readonly boundary: "inclusive" | "exclusive" | null;
  readonly spine: {
    /** Of generated rows a file that is gone. */
    readonly path: string;
    readonly generated: GeneratedRows | null;
    readonly sha256: string;
    readonly rows: number;
    readonly timeColumn: string | null;
    /** Columns that stand for request data. */
    readonly requestColumns: readonly string[];
    readonly keyColumns: Readonly<Record<string, readonly string[]>>;
    /** Rows labelled after the end of the log, kept because that was allowed. */
    readonly rowsAfterLog: number;
  };
  /** Parts by time, as column `split` names them; null where none were asked for. */
  readonly splits: readonly SplitPart[] | null;
  readonly output: {
    readonly path: string;
    readonly format: string;
    readonly rows: number;
    readonly sha256: string;
  } | null;
  readonly features: readonly {
    /** Of the column. */
    readonly name: string;
    readonly service: string;
    /** Its name in the service's vector. */
    readonly serviceFeature: string;
    readonly view: string;
    readonly feature: string;
    readonly type: string;
    /** Rows by status. */
    readonly statuses: Readonly<Record<string, number>>;
    /**
     * Rows whose window began later than asked, as older events are merged: what explains one says `exact: false`. Of what is
     * computed, rows in which that is so of any feature that it is computed from. Manifests that do not have it did not count.
     */
    readonly rowsWithLaterWindow: number;
  }[];
}
