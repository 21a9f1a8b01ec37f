/** What every command is given besides its own arguments. */
export interface CommandIo {
  /** Takes a line for standard output. */
  out(line: string): void;
  /** Takes a line for standard error. */
  err(line: string): void;
  /** Shows a line on a terminal's standard error, in place of the one before; an empty one takes it away. No terminal: nothing. */
  redraw(line: string): void;
  /** Clears the screen of a terminal on standard output. No terminal: nothing. */
  clear(): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** Whether a person reads standard error. */
  readonly terminal: boolean;
  /** Whether a person can be asked: standard input and output are a terminal. */
  readonly interactive: boolean;
}

/** The flags that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly node?: string;
  /** One JSON document on standard output. */
  readonly json?: boolean;
  /** Neither progress nor hints. */
  readonly quiet?: boolean;
}

/** Prints a result: as JSON, or as `lines`. */
export function print(args: GlobalOptions, io: CommandIo, result: unknown, lines: () => readonly string[]): void {
  if (args.json === true) io.out(JSON.stringify(result));
  else for (const line of lines()) io.out(line);
}
