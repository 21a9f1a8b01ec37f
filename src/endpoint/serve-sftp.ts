/** Reads a channel's requests and writes their answers, until either side ends it. */
import type { Duplex } from "node:stream";
import type { MailboxFiles } from "./mailbox-files.ts";
import { decodeRequest, PacketReader } from "./sftp-packet.ts";
import { type ServiceLimits, SftpService } from "./sftp-service.ts";

/** What the service needs of a channel. */
export type SftpChannel = Duplex;

/** Resolves when the client has ended the channel. Rejects, and ends it, when what it sends is no SFTP. */
export async function serveSftp(channel: SftpChannel, files: MailboxFiles, limits: ServiceLimits): Promise<void> {
  const service = new SftpService(files, limits);
  const reader = new PacketReader();
  // A channel that is gone never says that it has room again.
  const gone = new Promise<void>((resolve) => {
    channel.once("close", resolve);
    channel.once("error", () => resolve());
  });
  try {
    for await (const chunk of channel) {
      for (const packet of reader.push(chunk)) {
        const answer = await service.answer(decodeRequest(packet));
        if (!channel.write(answer)) await Promise.race([drained(channel), gone]);
      }
    }
  } finally {
    await service.close();
    channel.end();
  }
}

function drained(channel: SftpChannel): Promise<void> {
  return new Promise((resolve) => channel.once("drain", resolve));
}
