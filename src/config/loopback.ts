import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether only this machine reaches an address, or a name, that is listened on. */
export function isLoopback(address: string): boolean {
  if (isIP(address) === 0) return address.toLowerCase() === "localhost";
  return LOOPBACK.check(address, isIP(address) === 4 ? "ipv4" : "ipv6");
}
