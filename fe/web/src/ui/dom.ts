/**
 * Small helpers over the DOM. Text is always text, never markup, and styles are
 * classes or custom properties: the page runs without inline code or style.
 */
import type { MessageKey, Translate } from "../i18n/i18n";

type Attributes = Record<string, string | boolean>;

/** Makes an element; a `true` attribute is set empty, a `false` one left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Makes an element of the SVG namespace. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Node[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Makes an element whose text follows the language. */
export function label<K extends keyof HTMLElementTagNameMap>(tag: K, key: MessageKey, attributes: Attributes = {}): HTMLElementTagNameMap[K] {
  return h(tag, { ...attributes, "data-t": key });
}

/** Puts every element made by `label`, and every `data-t-label`, into words. */
export function translate(root: ParentNode, t: Translate): void {
  for (const element of root.querySelectorAll<HTMLElement>("[data-t]")) setText(element, t(element.dataset.t as MessageKey));
  for (const element of root.querySelectorAll<HTMLElement>("[data-t-label]")) {
    setAttribute(element, "aria-label", t(element.dataset.tLabel as MessageKey));
  }
}

/** Writes text only where it changed, so that nothing is laid out for nothing. */
export function setText(element: HTMLElement, value: string): void {
  const only = element.firstChild;
  if (only instanceof Text && !only.nextSibling) {
    if (only.data !== value) only.data = value;
  } else {
    element.textContent = value;
  }
}

/** Sets, or with null removes, an attribute where it changed. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export function setHidden(element: HTMLElement, hidden: boolean): void {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/** Keeps the children of `parent` equal to `wanted`, moving only what moved. */
export function setChildren(parent: Element, wanted: readonly Element[]): void {
  wanted.forEach((child, i) => {
    const there = parent.children[i];
    if (there !== child) parent.insertBefore(child, there ?? null);
  });
  while (parent.children.length > wanted.length) parent.lastElementChild?.remove();
}
