/**
 * A mirror that integrates everything that waits for it. Arguments: the set's directory, its member. Prints, as JSON, the
 * seconds that it took and the transactions.
 */
import { openMember } from "../support/members.ts";

const [root = "", name = ""] = process.argv.slice(2);
await using member = await openMember(root, name);
const beganMs = performance.now();
const [result] = await member.integrate();
console.log(JSON.stringify({ seconds: (performance.now() - beganMs) / 1000, transactions: result?.transactions ?? 0 }));
