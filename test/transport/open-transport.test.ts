import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { openTransport } from "../../src/transport/open-transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const SSH = { identity: null, passphraseFile: null, passphraseVariable: null, knownHosts: null };

function openMailbox(mailbox: string) {
  return openTransport({ mailbox, hostKey: null, bandwidth: null }, SSH);
}

test("a file URL opens the directory that it names, whatever characters are in it", async () => {
  const root = join(temporaryDirectory(), "a b%20ä#");
  mkdirSync(root);
  const transport = openMailbox(pathToFileURL(root).href);
  await transport.publish("status.json", Buffer.from("{}"));
  expect(await transport.list("")).toMatchObject([{ name: "status.json", size: 2 }]);
});

test.each([
  "/srv/afterimage",
  "",
  "file://host/srv",
  "file:///srv?x=1",
  "file:///srv#x",
  "file:///a%2Fb",
  "file:///a%",
  "http://porto.example/srv",
  "sftp://porto.example/srv",
  "sftp://mirror@porto.example",
])("%j is no mailbox URL", (url) => {
  expect(thrownBy(() => openMailbox(url))).toMatchObject({ name: "TransportError", code: "URL_INVALID" });
});

test("a password in a mailbox URL is refused, and not shown", () => {
  const error = thrownBy(() => openMailbox("sftp://mirror:secret@porto.example:22/srv/afterimage"));
  expect(error).toMatchObject({
    code: "URL_INVALID",
    message: "not a mailbox URL: sftp://mirror:***@porto.example:22/srv/afterimage",
    hint: expect.stringContaining("no password"),
  });
});
