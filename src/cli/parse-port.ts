import { InvalidArgumentError } from "commander";

/** A TCP port, for commander. */
export function parsePort(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (port === 0 || port > 65_535) throw new InvalidArgumentError("It must be a port, from 1 to 65535.");
  return port;
}
