/**
 * What the browser keeps for the next visit: the language. Storage may be forbidden;
 * then it lasts as long as the page. Who has signed in is the cookie's business.
 */
function keep(storage: () => Storage, name: string) {
  return {
    read(): string | null {
      try {
        return storage().getItem(name);
      } catch {
        return null;
      }
    },
    write(value: string | null): void {
      try {
        if (value === null) storage().removeItem(name);
        else storage().setItem(name, value);
      } catch {
        // Forbidden or full: nothing is kept.
      }
    },
  };
}

export const keptLang = keep(() => localStorage, "mbp.lang");
