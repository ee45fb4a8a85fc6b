/**
 * A key as `mbp key new` makes it: the prefix, its public id and 32 random bytes in
 * base64url; older ones have no id.
 */
const KEY = /^mbp_([a-z2-7]{8}_)?[A-Za-z0-9_-]{43}$/;

/** Returns the key without the blanks that copying adds, or null if it cannot be one. */
export function readKey(typed: string): string | null {
  const key = typed.trim();
  return KEY.test(key) ? key : null;
}
