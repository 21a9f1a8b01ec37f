/** The part of ssh2-sftp-client that is used here; the package has no declarations of its own. */
declare module "ssh2-sftp-client" {
  import type { Client, ConnectConfig, SFTPWrapper } from "ssh2";

  interface Callbacks {
    error(error: Error): void;
    end(): void;
    close(): void;
  }

  export default class SftpClient {
    constructor(name: string, callbacks: Callbacks);
    /** The connection below. */
    readonly client: Client;
    /** Connects, logs in and opens the SFTP channel, through which every request is made. */
    connect(config: ConnectConfig): Promise<SFTPWrapper>;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "close", listener: () => void): void;
  }
}
