import { comparePages } from "../../src/sqlite/compare-pages.ts";
import type { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import type { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";

/** In which pages an open mirror is not what its table says, in sentences. */
export async function pageProblems(mirror: MirrorDatabase, table: PageChecksumTable): Promise<readonly string[]> {
  const image = mirror.baseline();
  try {
    return (await comparePages(table, image)).problems;
  } finally {
    image.close();
  }
}
