/**
 * What every transport must do, whatever is behind it: one suite that each of them passes.
 *
 * `make` gives a transport to an empty mailbox, and what the suite needs to look at it from behind.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BEGINNING_BYTES, type Transport } from "../../src/transport/transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

export interface ContractTarget {
  /** A new transport to the same mailbox at every call; the suite closes what it opens. */
  open(): Transport;
  /** Takes the whole mailbox away, as an unmounted file system does. */
  takeAway(): void;
  /** Whether the mailbox is there. */
  isThere(): boolean;
}

const NAME = "inbox/orders/0000000000000001/0000000000000001-0000000000000002.ltx";
const DIRECTORY = "inbox/orders/0000000000000001";

export function describeTransport(title: string, make: () => Promise<ContractTarget>): void {
  describe(`${title} keeps the transport contract`, () => {
    describePut(make);
    describeConcurrency(make);
    describePutFailures(make);
    describeReading(make);
    describePublish(make);
    describeNames(make);
    describeEnds(make);
  });
}

/** A local file with these contents. */
function local(contents: string | Uint8Array): string {
  const path = join(temporaryDirectory(), "local.ltx");
  writeFileSync(path, contents);
  return path;
}

async function opened(make: () => Promise<ContractTarget>): Promise<{ target: ContractTarget; transport: Transport }> {
  const target = await make();
  return { target, transport: target.open() };
}

async function textOf(transport: Transport, name: string): Promise<string | null> {
  const bytes = await transport.read(name, { maxBytes: 1_000_000 });
  return bytes === null ? null : Buffer.from(bytes).toString();
}

function describePut(make: () => Promise<ContractTarget>): void {
  test("a file that is put can be read, listed and got", async () => {
    const { transport } = await opened(make);
    expect(await transport.put(local("hello"), NAME)).toBe("stored");
    expect(await textOf(transport, NAME)).toBe("hello");
    const entry = { kind: "file", name: "0000000000000001-0000000000000002.ltx", size: 5, mtimeMs: expect.any(Number) };
    expect(await transport.list(DIRECTORY)).toEqual([entry]);
    expect(await transport.list("inbox")).toMatchObject([{ kind: "directory", name: "orders" }]);
    const copy = join(temporaryDirectory(), "copy.ltx");
    expect(await transport.get(NAME, copy)).toBe(5);
    expect(readFileSync(copy, "utf8")).toBe("hello");
  });

  test("putting the same file again finds it present", async () => {
    const { target, transport } = await opened(make);
    await transport.put(local("hello"), NAME);
    expect(await transport.put(local("hello"), NAME)).toBe("present");
    expect(await target.open().put(local("hello"), NAME)).toBe("present");
    expect(await textOf(transport, NAME)).toBe("hello");
  });

  test.each([
    ["another size", "hello!"],
    ["the same size", "hallo"],
    ["nothing in it", ""],
  ])("putting a file of %s under a taken name is refused, and the first stays", async (_, contents) => {
    const { transport } = await opened(make);
    await transport.put(local("hello"), NAME);
    await expect(transport.put(local(contents), NAME)).rejects.toMatchObject({ code: "TARGET_DIFFERS" });
    expect(await textOf(transport, NAME)).toBe("hello");
    expect(await transport.list(DIRECTORY)).toHaveLength(1);
  });

  test("an empty file is put as any other", async () => {
    const { transport } = await opened(make);
    expect(await transport.put(local(""), NAME)).toBe("stored");
    expect(await transport.put(local(""), NAME)).toBe("present");
    expect(await textOf(transport, NAME)).toBe("");
  });
}

function describeConcurrency(make: () => Promise<ContractTarget>): void {
  test("concurrent puts of one file leave one whole file", async () => {
    const { target } = await opened(make);
    const contents = new Uint8Array(3_000_000).fill(7);
    const path = local(contents);
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => target.open().put(path, NAME)));
    expect(outcomes).toContain("stored");
    const read = await target.open().read(NAME, { maxBytes: 4_000_000 });
    expect(Buffer.from(read ?? []).equals(Buffer.from(contents))).toBe(true);
    expect(await target.open().list(DIRECTORY)).toHaveLength(1);
  });

  test("of concurrent puts with different contents one succeeds, and the file is that one's", async () => {
    const { target } = await opened(make);
    const puts = ["a", "b", "c", "d"].map((letter) => target.open().put(local(letter.repeat(2_000_000)), NAME));
    const outcomes = await Promise.allSettled(puts);
    const winners = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? ["abcd"[i]] : []));
    expect(winners).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "TARGET_DIFFERS" });
    }
    const read = Buffer.from((await target.open().read(NAME, { maxBytes: 4_000_000 })) ?? []);
    expect(read.equals(Buffer.alloc(2_000_000, winners[0]))).toBe(true);
  });

  test("a large file arrives whole, and is never seen in parts", async () => {
    const { target, transport } = await opened(make);
    const contents = Buffer.alloc(48 * 1024 * 1024);
    for (let i = 0; i < contents.length; i += 4096) contents.writeUInt32LE(i, i);
    const put = transport.put(local(contents), NAME);
    let done = false;
    const finished = put.finally(() => {
      done = true;
    });
    const observer = target.open();
    while (!done) {
      for (const { size } of await observer.list(DIRECTORY)) expect(size).toBe(contents.length);
    }
    expect(await finished).toBe("stored");
    const copy = join(temporaryDirectory(), "copy.ltx");
    expect(await transport.get(NAME, copy)).toBe(contents.length);
    expect(readFileSync(copy).equals(contents)).toBe(true);
  });
}

function describePutFailures(make: () => Promise<ContractTarget>): void {
  test("an aborted put leaves nothing, and can be made again", async () => {
    const { transport } = await opened(make);
    const path = local(new Uint8Array(8_000_000));
    const reason = new Error("stop");
    await expect(transport.put(path, NAME, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const put = transport.put(path, NAME, { signal: abort.signal });
    setImmediate(() => abort.abort(reason));
    await expect(put).rejects.toBe(reason);
    expect(await transport.list(DIRECTORY)).toEqual([]);
    expect(await transport.put(path, NAME)).toBe("stored");
  });

  test("a local file that cannot be read is told apart from the target", async () => {
    const { transport } = await opened(make);
    const missing = join(temporaryDirectory(), "nothing");
    await expect(transport.put(missing, NAME)).rejects.toMatchObject({ code: "LOCAL_FAILED", path: missing });
    expect(await transport.read(NAME, { maxBytes: 1 })).toBeNull();
  });
}

function describeReading(make: () => Promise<ContractTarget>): void {
  test("what is not there is read as null, listed as empty, and removed without an error", async () => {
    const { transport } = await opened(make);
    expect(await transport.read(NAME, { maxBytes: 10 })).toBeNull();
    expect(await transport.list(DIRECTORY)).toEqual([]);
    expect(await transport.list("")).toEqual([]);
    await transport.remove(NAME);
    const copy = join(temporaryDirectory(), "copy");
    writeFileSync(copy, "mine");
    expect(await transport.get(NAME, copy)).toBeNull();
    expect(readFileSync(copy, "utf8")).toBe("mine");
  });

  test("a file below a file is not there", async () => {
    const { transport } = await opened(make);
    await transport.publish("status.json", Buffer.from("{}"));
    expect(await transport.read("status.json/x", { maxBytes: 10 })).toBeNull();
    expect(await transport.list("status.json/x")).toEqual([]);
  });

  test("a file of exactly the limit is read, one byte more is too large", async () => {
    const { transport } = await opened(make);
    await transport.publish("status.json", Buffer.from("12345"));
    expect(await textOf(transport, "status.json")).toBe("12345");
    expect(await transport.read("status.json", { maxBytes: 5 })).toHaveLength(5);
    await expect(transport.read("status.json", { maxBytes: 4 })).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
  });

  test("of a file whose beginning is enough no more than that is read", async () => {
    const { transport } = await opened(make);
    const bytes = Buffer.alloc(100_000, "0123456789");
    await transport.publish("status.json", bytes);
    const shown: Uint8Array[] = [];
    const readIf = async (isEnough: boolean) => {
      const look = (beginning: Uint8Array) => {
        shown.push(Uint8Array.from(beginning));
        return isEnough;
      };
      return Buffer.from((await transport.read("status.json", { maxBytes: 100_000, isEnough: look })) ?? []);
    };
    expect((await readIf(true)).equals(bytes.subarray(0, BEGINNING_BYTES))).toBe(true);
    expect((await readIf(false)).equals(bytes)).toBe(true);
    expect(shown.map(({ length }) => length)).toEqual([BEGINNING_BYTES, BEGINNING_BYTES]);

    await transport.publish("status.json", Buffer.from("{}"));
    expect((await readIf(false)).toString()).toBe("{}");
    expect(Buffer.from(shown.at(-1) ?? []).toString()).toBe("{}");
  });

  test("a removed file is gone, and its name is free again", async () => {
    const { transport } = await opened(make);
    await transport.put(local("hello"), NAME);
    await transport.remove(NAME);
    await transport.remove(NAME);
    expect(await transport.list(DIRECTORY)).toEqual([]);
    expect(await transport.put(local("other"), NAME)).toBe("stored");
  });

  test("a local file that cannot be written is told apart from the target", async () => {
    const { transport } = await opened(make);
    await transport.put(local("hello"), NAME);
    const directory = temporaryDirectory();
    const missing = join(directory, "no", "copy");
    await expect(transport.get(NAME, missing)).rejects.toMatchObject({ code: "LOCAL_FAILED", path: missing });
    const reason = new Error("stop");
    const signal = AbortSignal.abort(reason);
    await expect(transport.get(NAME, join(directory, "copy"), { signal })).rejects.toBe(reason);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("names are listed in order", async () => {
    const { transport } = await opened(make);
    for (const name of ["c", "a", "b", "B"]) await transport.publish(`d/${name}`, new Uint8Array());
    expect((await transport.list("d")).map(({ name }) => name)).toEqual(["B", "a", "b", "c"]);
  });
}

function describePublish(make: () => Promise<ContractTarget>): void {
  test("a published file is replaced by the next", async () => {
    const { transport } = await opened(make);
    await transport.publish("status.json", Buffer.from("a longer text"));
    await transport.publish("status.json", Buffer.from("short"));
    expect(await textOf(transport, "status.json")).toBe("short");
    expect(await transport.list("")).toHaveLength(1);
  });

  test("a reader gets the old contents or the new while a file is replaced", async () => {
    const { target, transport } = await opened(make);
    const versions = ["a", "b"].map((letter) => Buffer.alloc(200_000, letter));
    let done = false;
    const writer = (async () => {
      for (let i = 0; i < 60; i++) await transport.publish("status.json", versions[i % 2] ?? Buffer.alloc(0));
      done = true;
    })();
    const reader = target.open();
    const seen = new Set<string>();
    while (!done) {
      const bytes = await reader.read("status.json", { maxBytes: 200_000 });
      if (bytes === null) continue;
      expect(versions.some((version) => version.equals(bytes))).toBe(true);
      seen.add(String.fromCharCode(bytes[0] ?? 0));
    }
    await writer;
    expect([...seen].sort()).toEqual(["a", "b"]);
  });
}

function describeNames(make: () => Promise<ContractTarget>): void {
  const BAD_NAMES = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../b",
    "a//b",
    "a/",
    "./a",
    ".hidden",
    "a/.b.part",
    "a\0b",
    "a\nb",
    "a\\b",
  ];

  test.each([...BAD_NAMES, "x".repeat(201), Array(7).fill("y".repeat(200)).join("/")])(
    "the name %j is refused",
    async (name) => {
      const { transport } = await opened(make);
      const invalid = { name: "TransportError", code: "NAME_INVALID" };
      await expect(transport.put(local("x"), name)).rejects.toMatchObject(invalid);
      await expect(transport.read(name, { maxBytes: 1 })).rejects.toMatchObject(invalid);
      await expect(transport.get(name, join(temporaryDirectory(), "x"))).rejects.toMatchObject(invalid);
      await expect(transport.publish(name, new Uint8Array())).rejects.toMatchObject(invalid);
      await expect(transport.remove(name)).rejects.toMatchObject(invalid);
      if (name !== "") await expect(transport.list(name)).rejects.toMatchObject(invalid);
      expect(await transport.list("")).toEqual([]);
    },
  );

  test("any name that is accepted holds what was put under it", async () => {
    const { transport } = await opened(make);
    const part = fc.stringMatching(/^[A-Za-z0-9_ äß%#?*~'"-][A-Za-z0-9_. äß%#?*~'"-]{0,20}$/);
    const names = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    await fc.assert(
      fc.asyncProperty(names, async (name) => {
        const placed = `${encodeURIComponent(name).length}-${Buffer.from(name).toString("hex")}/${name}`;
        await transport.publish(placed, Buffer.from(name));
        expect(await textOf(transport, placed)).toBe(name);
      }),
      { numRuns: 25 },
    );
  });
}

function describeEnds(make: () => Promise<ContractTarget>): void {
  test("a mailbox that is gone is an error for every call, and is not made", async () => {
    const { target, transport } = await opened(make);
    await transport.put(local("hello"), NAME);
    target.takeAway();
    const missing = { name: "TransportError", code: "TARGET_MISSING", hint: expect.any(String) };
    for (const used of [transport, target.open()]) {
      await expect(used.put(local("hello"), NAME)).rejects.toMatchObject(missing);
      await expect(used.publish("status.json", new Uint8Array())).rejects.toMatchObject(missing);
      await expect(used.read(NAME, { maxBytes: 1 })).rejects.toMatchObject(missing);
      await expect(used.get(NAME, join(temporaryDirectory(), "x"))).rejects.toMatchObject(missing);
      await expect(used.list("")).rejects.toMatchObject(missing);
      await expect(used.remove(NAME)).rejects.toMatchObject(missing);
    }
    expect(target.isThere()).toBe(false);
  });

  test("a closed transport refuses every call", async () => {
    const { transport } = await opened(make);
    await transport.close();
    await transport.close();
    await expect(transport.put(local("hello"), NAME)).rejects.toMatchObject({ code: "CLOSED" });
    await expect(transport.list("")).rejects.toMatchObject({ code: "CLOSED" });
  });
}
