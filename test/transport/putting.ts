/** A process that puts one large file after another into a mailbox, and prints each name before it starts. */
import { openTransport } from "../../src/transport/open-transport.ts";

const [url = "", localPath = ""] = process.argv.slice(2);
const transport = openTransport(url);
for (let n = 1; ; n++) {
  process.stdout.write(`${n}\n`);
  await transport.put(localPath, `inbox/file-${n}`);
}
