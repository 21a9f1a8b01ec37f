/**
 * The datagram socket on which a service manager listens, as sd_notify(3) describes it. Node has no datagrams of the AF_UNIX
 * family, so the C library is called.
 */
import { endianness } from "node:os";
import koffi from "koffi";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of `sockaddr_un.sun_path`, unix(7). */
const MAX_PATH_BYTES = 108;

/** How a datagram is sent while the manager's queue is full: a change of state waits, a sign of life is left out. */
export type WhenFull = "wait" | "leave-out";

/** Sends assignments, one a line. @throws Error that says why they could not be sent. */
export type SendNotice = (text: string, whenFull: WhenFull) => void;

/**
 * @param address as in NOTIFY_SOCKET: an absolute path, or `@` and a name of the abstract namespace.
 * @throws Error when it is no such address, or the C library cannot be called.
 */
export function notifySocket(address: string): SendNotice {
  const name = socketAddress(address);
  const library = koffi.load(null);
  const socket = library.func("int socket(int domain, int type, int protocol)");
  const sendto = library.func(
    "int64_t sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t size)",
  );
  const close = library.func("int close(int fd)");
  return (text, whenFull) => {
    // One for each datagram: the manager may have been started anew meanwhile, and listen on another one.
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd === -1) throw new Error(`socket: errno ${koffi.errno()}`);
    try {
      const message = Buffer.from(text);
      const flags = MSG_NOSIGNAL | (whenFull === "wait" ? 0 : MSG_DONTWAIT);
      if (Number(sendto(fd, message, message.length, flags, name, name.length)) === -1)
        throw new Error(`sendto ${address}: errno ${koffi.errno()}`);
    } finally {
      close(fd);
    }
  };
}

/** `struct sockaddr_un`: the family, 2 bytes as this machine orders them, then the path with a zero, or a zero and the name. */
function socketAddress(address: string): Buffer {
  const isAbstract = address.startsWith("@");
  if (!isAbstract && !address.startsWith("/")) throw new Error(`${address} is no address of a local socket`);
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (path.length > MAX_PATH_BYTES) throw new Error(`${address} is too long for a local socket`);
  const family = Buffer.alloc(2);
  if (endianness() === "LE") family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, path]);
}
