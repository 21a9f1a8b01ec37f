import fc from "fast-check";
import { expect, test } from "vitest";
import { type Unit, UnitSupervisor } from "../../src/member/unit-supervisor.ts";

/** Units that record their starts and ends; a stop takes some turns of the event loop. */
class UnitWorld {
  /** `name@fingerprint` of the units that run or are ending. */
  readonly alive = new Set<string>();
  readonly faults: string[] = [];
  starts = 0;

  unit(name: string, fingerprint: string, stopTurns: number): Unit {
    return {
      fingerprint,
      start: async (stop) => {
        this.starts++;
        for (const other of this.alive) if (other.startsWith(`${name}@`)) this.faults.push(`${name} beside ${other}`);
        this.alive.add(`${name}@${fingerprint}`);
        await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true }));
        for (let turn = 0; turn < stopTurns; turn++) await new Promise((resolve) => setImmediate(resolve));
        this.alive.delete(`${name}@${fingerprint}`);
      },
    };
  }
}

const desiredUnits = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2"), { maxKeys: 4 });

test("after any sequence exactly the desired units run, and no unit ran beside its predecessor", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(desiredUnits, { maxLength: 8 }), fc.nat(3), async (sequence, stopTurns) => {
      const world = new UnitWorld();
      const supervisor = new UnitSupervisor((name) => world.faults.push(`${name} failed`));
      let before = new Set<string>();
      let expectedStarts = 0;
      for (const desired of sequence) {
        const names = new Set(Object.entries(desired).map(([name, fingerprint]) => `${name}@${fingerprint}`));
        expectedStarts += [...names].filter((name) => !before.has(name)).length;
        const units = Object.entries(desired).map(
          ([name, fingerprint]) => [name, world.unit(name, fingerprint, stopTurns)] as const,
        );
        await supervisor.reconcile(new Map(units), async () => {
          for (const name of world.alive) if (!names.has(name)) world.faults.push(`${name} had not ended`);
        });
        expect(world.alive).toEqual(names);
        expect(new Set(supervisor.names)).toEqual(new Set(Object.keys(desired)));
        before = names;
      }
      await supervisor.stop();
      expect([world.alive.size, world.starts, world.faults]).toEqual([0, expectedStarts, []]);
    }),
  );
});

test("calls that overlap are done one after the other, and the last one decides", async () => {
  const world = new UnitWorld();
  const supervisor = new UnitSupervisor(() => undefined);
  await Promise.all(
    ["1", "2", "3"].map((fingerprint) => supervisor.reconcile(new Map([["a", world.unit("a", fingerprint, 2)]]))),
  );
  expect([...world.alive]).toEqual(["a@3"]);
  expect(world.faults).toEqual([]);
  await supervisor.stop();
});

test("a failure is reported once, and the unit starts again only with another fingerprint", async () => {
  const failures: string[] = [];
  const supervisor = new UnitSupervisor((name, error) => failures.push(`${name}: ${String(error)}`));
  const failing = (fingerprint: string): ReadonlyMap<string, Unit> =>
    new Map([["a", { fingerprint, start: () => Promise.reject(new Error(fingerprint)) }]]);
  await supervisor.reconcile(failing("1"));
  await supervisor.reconcile(failing("1"));
  await supervisor.reconcile(failing("2"));
  await supervisor.stop();
  expect(failures).toEqual(["a: Error: 1", "a: Error: 2"]);
});

test("when what happens between stop and start fails, nothing is started", async () => {
  const world = new UnitWorld();
  const supervisor = new UnitSupervisor(() => undefined);
  await supervisor.reconcile(new Map([["a", world.unit("a", "1", 1)]]));
  const failing = supervisor.reconcile(new Map([["a", world.unit("a", "2", 1)]]), () =>
    Promise.reject(new Error("no")),
  );
  await expect(failing).rejects.toThrow("no");
  expect([...world.alive]).toEqual([]);
});
