import { expect, test } from "vitest";
import { alertHistory, serveAlerting } from "../support/alerting.ts";
import { addVisits, CLINIC, createClinic, databasePath } from "../support/members.ts";
import { until } from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ALERTS = {
  ...{ upstreamSilent: "15s", receivedLag: "15s", integratedLag: "15s", followerAway: "15s", receiptAge: "15s" },
  ...{ topologyUnsafe: "15s", errors: "15s", quarantine: 1, spool: "90%" },
};

test("a switchover of members that have served for longer than any threshold raises nothing", async () => {
  const root = temporaryDirectory();
  const clinic = createClinic(databasePath(root, "lisbon"));
  addVisits(clinic, 10);
  clinic.close();
  const lisbon = await serveAlerting(root, "lisbon", { alerts: ALERTS });
  const porto = await serveAlerting(root, "porto", { alerts: ALERTS });
  const beganMs = performance.now();
  const integrated = (member: typeof porto.member) => member.context.store.database(CLINIC)?.integrated;
  await until("porto is level", () => {
    const end = integrated(lisbon.member);
    return end != null && end.txid === integrated(porto.member)?.txid;
  });
  await until("both have served for a while", () => performance.now() - beganMs > 18_000);
  await lisbon.member.switchover({ to: "porto" });
  const isProved = () => (lisbon.member.ownStatus().databases[CLINIC]?.receivedStaleSeconds ?? 99) < 5;
  await until("lisbon follows porto", () => lisbon.member.ownStatus().role === "mirror" && isProved());
  const sinceMs = performance.now();
  await until("both were looked at again", () => performance.now() - sinceMs > 5_000);
  expect([alertHistory(lisbon.member), alertHistory(porto.member)]).toEqual([[], []]);
}, 120_000);
