/**
 * One descriptor per file in this process.
 *
 * POSIX drops every lock that a process holds on a file when the process closes any descriptor of it
 * (sqlite.org/howtocorrupt.html, section 2.2). SQLite's locks on a database file and on its `-shm` are such locks, so
 * these two files are opened here only, shared by whoever needs them, and closed when the last holder lets go. The worst
 * outcome of closing one early is that another process checkpoints and restarts the WAL behind our read transaction.
 */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";

type OpenFlags = "r" | "r+";

interface OpenFile {
  readonly key: string;
  readonly descriptors: Map<OpenFlags, number>;
  /** Opened in a race with a rename and found to be a file that was open already. */
  readonly spare: number[];
  holders: number;
}

const openFiles = new Map<string, OpenFile>();

export class SharedDescriptor {
  readonly fd: number;
  readonly #file: OpenFile;
  #held = true;

  private constructor(file: OpenFile, fd: number) {
    this.#file = file;
    this.fd = fd;
    file.holders++;
  }

  /** Opens the file at `path`, or shares the descriptor that is open already. Throws as `fs.openSync` does. */
  static open(path: string, flags: OpenFlags): SharedDescriptor {
    const known = openFiles.get(identity(statSync(path, { bigint: true })))?.descriptors.get(flags);
    const fd = known ?? openSync(path, flags);
    const key = identity(fstatSync(fd, { bigint: true }));
    const file: OpenFile = openFiles.get(key) ?? { key, descriptors: new Map(), spare: [], holders: 0 };
    openFiles.set(key, file);
    const first = file.descriptors.get(flags);
    if (first === undefined) file.descriptors.set(flags, fd);
    else if (first !== fd) file.spare.push(fd);
    return new SharedDescriptor(file, first ?? fd);
  }

  /** Whether the file at `path` is this one; false also when there is none. */
  isAt(path: string): boolean {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found !== undefined && identity(found) === this.#file.key;
  }

  /** Lets go of the descriptor. Only after this holder has closed its SQLite connections to the file; twice is harmless. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#file.holders--;
    if (this.#file.holders > 0) return;
    openFiles.delete(this.#file.key);
    for (const fd of [...this.#file.descriptors.values(), ...this.#file.spare]) closeSync(fd);
  }
}

function identity(stat: { dev: bigint; ino: bigint }): string {
  return `${stat.dev}:${stat.ino}`;
}
