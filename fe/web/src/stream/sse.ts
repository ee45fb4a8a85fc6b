/**
 * Reads an event stream as the HTML standard says
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6), from
 * text in pieces of any size. EventSource would do, but cannot send the
 * Authorization header.
 */

export interface SseEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
  /** It came with an id of its own: on our streams, the last event of a decision. */
  readonly last: boolean;
}

/** Longest event in characters: a snapshot of thousands of markets fits twice. */
export const MAX_EVENT = 4 * 1024 * 1024;

export class SseParser {
  /** The last id seen; a reconnect resumes after it. */
  lastId = "";
  private line = "";
  private data: string[] = [];
  private size = 0;
  private event = "";
  private own = false;
  private afterCR = false;
  private started = false;

  /** Takes the next piece and returns the events that it completes. */
  feed(piece: string): SseEvent[] {
    const events: SseEvent[] = [];
    if (!this.started && piece !== "") {
      this.started = true;
      if (piece.startsWith("\uFEFF")) piece = piece.slice(1);
    }
    let from = 0;
    for (let i = 0; i < piece.length; i++) {
      const c = piece.charCodeAt(i);
      const lf = c === 10;
      if (!lf && c !== 13) {
        this.afterCR = false;
        continue;
      }
      if (lf && this.afterCR) {
        // The second half of CR LF, possibly in the next piece.
        this.afterCR = false;
        from = i + 1;
        continue;
      }
      this.take(this.line + piece.slice(from, i), events);
      this.line = "";
      this.afterCR = !lf;
      from = i + 1;
    }
    this.line += piece.slice(from);
    if (this.line.length + this.size > MAX_EVENT) throw new Error("event stream: event too long");
    return events;
  }

  private take(line: string, events: SseEvent[]): void {
    if (line === "") {
      if (this.data.length > 0) {
        events.push({ event: this.event || "message", data: this.data.join("\n"), id: this.lastId, last: this.own });
      }
      this.data = [];
      this.size = 0;
      this.event = "";
      this.own = false;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    } else if (field === "event") {
      this.event = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.lastId = value;
      this.own = true;
    }
  }
}
