/** Takes the first element, so that an empty sequence is known before anything is made of it; null when it is empty. */
export function prefetchFirst<T>(source: Iterable<T>): Iterable<T> | null {
  const iterator = source[Symbol.iterator]();
  const first = iterator.next();
  if (first.done === true) return null;
  return (function* () {
    yield first.value;
    for (let step = iterator.next(); step.done !== true; step = iterator.next()) yield step.value;
  })();
}
