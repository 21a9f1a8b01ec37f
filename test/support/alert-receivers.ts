/** Those who are told of alerts, in the test's own process: a web server and a mail server that keep what they get. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** That it was answered with. */
  readonly status: number;
}

export interface WebReceiver {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** The status of the answers from now on; `hang` answers nothing. A redirection leads to `/elsewhere`. */
  answer: number | "hang";
}

export async function webReceiver(answer: number | "hang" = 200): Promise<WebReceiver> {
  const requests: ReceivedRequest[] = [];
  const receiver = { url: "", requests, answer };
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = "", url: path = "", headers } = request;
    const status = receiver.answer === "hang" ? 0 : receiver.answer;
    requests.push({ method, path, headers, body: Buffer.concat(chunks).toString("utf8"), status });
    if (status === 0) return;
    response.writeHead(status, status >= 300 && status < 400 ? { location: "/elsewhere" } : {}).end("noted");
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  receiver.url = `http://127.0.0.1:${await listening(server)}`;
  return receiver;
}

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly lines: readonly string[];
}

export interface MailReceiver {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** Whether mails are refused for now (451). */
  refuses: boolean;
}

/** A mail server (RFC 5321) without TLS or logins. */
export async function mailReceiver(): Promise<MailReceiver> {
  const mails: ReceivedMail[] = [];
  const receiver = { port: 0, mails, refuses: false };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    void converse(socket, receiver, mails);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  receiver.port = await listening(server);
  return receiver;
}

async function converse(socket: Socket, receiver: { refuses: boolean }, mails: ReceivedMail[]): Promise<void> {
  const say = (line: string) => socket.write(`${line}\r\n`);
  let mail = { from: "", to: [] as string[], lines: [] as string[] };
  let isInData = false;
  say("220 sink.example ESMTP");
  for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (isInData && line !== ".") mail.lines.push(line);
    else if (isInData) {
      isInData = false;
      mails.push(mail);
      mail = { from: "", to: [], lines: [] };
      say("250 taken");
    } else if (/^mail from:/i.test(line)) {
      mail.from = address(line);
      say(receiver.refuses ? "451 come back later" : "250 ok");
    } else if (/^rcpt to:/i.test(line)) {
      mail.to.push(address(line));
      say("250 ok");
    } else if (/^data/i.test(line)) {
      isInData = true;
      say("354 go on");
    } else if (/^quit/i.test(line)) {
      say("221 bye");
      socket.end();
    } else say("250 ok");
  }
}

function address(line: string): string {
  return /<(.*?)>/.exec(line)?.[1] ?? "";
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("no TCP address");
  return address.port;
}
