/** A process that puts one large file after another into a mailbox, and prints each name before it starts. */
import { openTransport } from "../../src/transport/open-transport.ts";

const [url = "", localPath = ""] = process.argv.slice(2);
const transport = openTransport(
  { mailbox: url, hostKey: null, bandwidth: null },
  { identity: null, passphraseFile: null, passphraseVariable: null, knownHosts: null },
);
for (let n = 1; ; n++) {
  process.stdout.write(`${n}\n`);
  await transport.put(localPath, `inbox/file-${n}`);
}
