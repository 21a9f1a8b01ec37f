import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { openTransport } from "../../src/transport/open-transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

test("a file URL opens the directory that it names, whatever characters are in it", async () => {
  const root = join(temporaryDirectory(), "a b%20ä#");
  mkdirSync(root);
  const transport = openTransport(pathToFileURL(root).href);
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
])("%j is no mailbox URL", (url) => {
  expect(thrownBy(() => openTransport(url))).toMatchObject({ name: "TransportError", code: "URL_INVALID" });
});

test("a mailbox of another kind is refused without its password", () => {
  const error = thrownBy(() => openTransport("sftp://mirror:secret@porto.example:22/srv/afterimage"));
  expect(error).toMatchObject({
    code: "TRANSPORT_UNSUPPORTED",
    path: "sftp://mirror:***@porto.example:22/srv/afterimage",
  });
});
