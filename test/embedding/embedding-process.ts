/** An application that embeds the member lisbon and prints the ID of its process. Argument: the configuration. */
import { startMember } from "../../src/embedding/start-member.ts";

const [configFile = ""] = process.argv.slice(2);
const member = await startMember({ configFile, node: "lisbon", onLog: () => undefined });
console.log(member.pid);
