/**
 * Asks a long command to stop: with one of these signals, or by the end of the process that started it with an IPC channel.
 *
 * A process that is killed with SIGKILL can tell nobody; its end of the channel is closed all the same. Without this a
 * daemon would live on, with its locks and its port, after the program that was to end it.
 */
export function stopRequest(signals: readonly NodeJS.Signals[]): AbortSignal {
  const stop = new AbortController();
  // They stay registered: a second signal must not end the process while it finishes what it has begun.
  for (const signal of signals) process.on(signal, () => stop.abort());
  process.once("disconnect", () => stop.abort());
  return stop.signal;
}
