/**
 * What the browser keeps: the key in this tab only, gone with it; the language
 * for the next visit. Storage may be forbidden; then both last as long as the page.
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

export const keptKey = keep(() => sessionStorage, "mbp.key");
export const keptLang = keep(() => localStorage, "mbp.lang");
