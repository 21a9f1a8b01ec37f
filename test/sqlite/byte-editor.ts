/** Sets one byte of a file: <path> <offset> <byte>. Says "done". */
import { closeSync, openSync, writeSync } from "node:fs";

const [path = "", offset = "0", byte = "0"] = process.argv.slice(2);
const fd = openSync(path, "r+");
writeSync(fd, Uint8Array.of(Number(byte)), 0, 1, Number(offset));
closeSync(fd);
console.log("done");
