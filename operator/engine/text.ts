/**
 * At most so many characters, none of them half of one. An API server stores half a character as another one, so that what
 * is stored would never be what was meant.
 */
export function cut(text: string, most: number): string {
  return text.slice(0, most).toWellFormed();
}
