/** Copying and comparing regular files in slices, so that their size does not matter and other work has its turn. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const SLICE_BYTES = 256 * 1024;
const MOST_SPARE_SLICES = 4;

/** Slices that no copy uses now. One allocated for each of many small files would keep the garbage collector busy all the time. */
const spareSlices: Uint8Array[] = [];

/** Opens for reading. A symbolic link as the last part is refused with ELOOP; a named pipe does not make it wait. */
export async function openForReading(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/** Copies all that is in `from` to `to`, both from the start, and returns the number of bytes. `signal` ends it with its reason. */
export async function copyContents(from: FileHandle, to: FileHandle, signal?: AbortSignal): Promise<number> {
  const slice = spareSlices.pop() ?? new Uint8Array(SLICE_BYTES);
  try {
    for (let position = 0; ; position += slice.length) {
      signal?.throwIfAborted();
      const count = await readFully(from, slice, position);
      for (let done = 0; done < count; ) {
        done += (await to.write(slice, done, count - done, position + done)).bytesWritten;
      }
      if (count < slice.length) return position + count;
    }
  } finally {
    if (spareSlices.length < MOST_SPARE_SLICES) spareSlices.push(slice);
  }
}

/** Whether two files hold the same bytes. Symbolic links are refused with ELOOP. */
export async function sameFileContents(pathA: string, pathB: string, signal?: AbortSignal): Promise<boolean> {
  const a = await openForReading(pathA);
  try {
    const b = await openForReading(pathB);
    try {
      return (await a.stat()).size === (await b.stat()).size && (await sameBytes(a, b, signal));
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

/** Fills `target` from `position`; returns fewer bytes only at the end of the file. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function sameBytes(a: FileHandle, b: FileHandle, signal?: AbortSignal): Promise<boolean> {
  const sliceA = new Uint8Array(SLICE_BYTES);
  const sliceB = new Uint8Array(SLICE_BYTES);
  for (let position = 0; ; position += SLICE_BYTES) {
    signal?.throwIfAborted();
    const [countA, countB] = await Promise.all([readFully(a, sliceA, position), readFully(b, sliceB, position)]);
    if (Buffer.compare(sliceA.subarray(0, countA), sliceB.subarray(0, countB)) !== 0) return false;
    if (countA < SLICE_BYTES) return true;
  }
}
