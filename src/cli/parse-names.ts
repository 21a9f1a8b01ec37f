/** The names in a comma-separated option. */
export function parseNames(text: string): string[] {
  return text.split(",");
}
