/**
 * How files reach another member's mailbox, whatever is between: a directory, SFTP, an object store.
 *
 * Names are relative paths with `/` between their parts; see transport-name.ts. Directories are only prefixes of names:
 * they come into being with the first file in them. A name that is put is written once and never changed; a name that is
 * published may be replaced. Nobody ever sees a part of a file under its name.
 *
 * Every method may throw TransportError with TARGET_MISSING, TARGET_DENIED, UNREACHABLE, TARGET_FAILED, CLOSED, and
 * NAME_INVALID for a bad name; every method may be tried again after any error, also when its outcome is not known.
 */
export interface Transport {
  /**
   * Copies a local file to `name`. Once it returns, the file is as durable as the target can make it: `stored`, or
   * `present` when the target had exactly these bytes under that name. Of several puts of one name with different
   * contents at most one succeeds, where the target can tell; a follower checks contents in any case.
   * An aborted `signal` ends it with the signal's reason, and leaves nothing under the name.
   * @throws TransportError TARGET_DIFFERS when the name holds other bytes, which stay as they are; TARGET_FULL;
   *   TARGET_READONLY; TARGET_OUTSIDE; LOCAL_FAILED when the local file cannot be read.
   */
  put(localPath: string, name: string, options?: TransferOptions): Promise<"stored" | "present">;

  /**
   * The contents of a small file; null when there is none. Of one for whose beginning `isEnough` says true, that beginning.
   * @throws TransportError FILE_TOO_LARGE, before more than `maxBytes` are held in memory.
   */
  read(name: string, limits: ReadLimits): Promise<Uint8Array | null>;

  /**
   * Copies `name` to a local file, durably, replacing what is there; its directory must exist. Returns the number of
   * bytes, or null, with the local file untouched, when there is no such name.
   * @throws TransportError LOCAL_FAILED when the local file cannot be written.
   */
  get(name: string, localPath: string, options?: TransferOptions): Promise<number | null>;

  /**
   * What lies directly below a directory (`""`: the whole mailbox), by name: files under their final names, and
   * directories. Empty when there is no such directory. Names that begin with a dot are left out.
   */
  list(directory: string): Promise<TransportEntry[]>;

  /** Removes a file; it is no error when there is none. */
  remove(name: string): Promise<void>;

  /**
   * Sets `name` to these bytes, durably, replacing what is there: a reader gets the old contents or the new.
   * @throws TransportError TARGET_FULL, TARGET_READONLY, TARGET_OUTSIDE.
   */
  publish(name: string, bytes: Uint8Array): Promise<void>;

  /** Ends connections; later calls throw CLOSED. May be called twice. */
  close(): Promise<void>;
}

/** So many bytes at the beginning of a file, or all of a smaller one, are shown to {@link ReadLimits.isEnough}. */
export const BEGINNING_BYTES = 8192;

export interface ReadLimits {
  readonly maxBytes: number;
  /** Whether the beginning says that the rest need not be read. May be asked again, when reading is tried again. */
  readonly isEnough?: (beginning: Uint8Array) => boolean;
}

export interface TransferOptions {
  readonly signal?: AbortSignal;
}

export interface TransportEntry {
  readonly kind: "file" | "directory";
  /** The last part of the name. */
  readonly name: string;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** By the target's clock, milliseconds since 1970; 0 when not known. */
  readonly mtimeMs: number;
}
