/** Files of the repository that are made from the source. */
import { configurationDocument, configurationSchema } from "./config-document.ts";

interface GeneratedFile {
  /** From the repository's root. */
  readonly path: string;
  readonly url: URL;
  readonly content: () => string;
}

export const GENERATED: readonly GeneratedFile[] = [
  generated("docs/CONFIG.md", configurationDocument),
  generated("config/afterimage.schema.json", configurationSchema),
];

function generated(path: string, content: () => string): GeneratedFile {
  return { path, url: new URL(`../${path}`, import.meta.url), content };
}
