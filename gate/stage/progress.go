package stage

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/plan"
)

// redraw is how often a live line is drawn again.
const redraw = 500 * time.Millisecond

// progress tells a person what the gate does: one line for each stage, live on
// a terminal, with notes below it.
type progress struct {
	w     io.Writer
	tty   bool
	color bool
	quit  chan struct{}
	once  sync.Once

	mu    sync.Mutex
	head  string // of the stage that runs; empty between stages
	text  string // what it does right now
	since time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, quit: make(chan struct{})}
	if f, isFile := w.(*os.File); isFile && os.Getenv("TERM") != "dumb" {
		_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		p.tty = err == nil
	}
	p.color = p.tty && os.Getenv("NO_COLOR") == ""
	if p.tty {
		go p.animate()
	}
	return p
}

func (p *progress) animate() {
	t := time.NewTicker(redraw)
	defer t.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-t.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

func (p *progress) close() { p.once.Do(func() { close(p.quit) }) }

// draw shows the live line; the caller holds mu.
func (p *progress) draw() {
	if !p.tty || p.head == "" {
		return
	}
	line := fmt.Sprintf("%s %6.1f s  %s", p.head, time.Since(p.since).Seconds(), p.text)
	if width := p.width(); len(line) > width {
		line = line[:width]
	}
	fmt.Fprintf(p.w, "\r\x1b[2K%s", line)
}

func (p *progress) width() int {
	if f, isFile := p.w.(*os.File); isFile {
		if s, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && s.Col > 10 {
			return int(s.Col) - 1
		}
	}
	return 79
}

// begin announces a stage.
func (p *progress) begin(n, of int, s plan.Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.head = fmt.Sprintf("[%2d/%d] %-9s %-42s", n, of, s.Name, s.Title)
	p.text, p.since = "", time.Now()
	if p.tty {
		p.draw()
	} else {
		fmt.Fprintln(p.w, strings.TrimRight(p.head, " "))
	}
}

// live says what the stage does right now, for a terminal only.
func (p *progress) live(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
	p.draw()
}

// note prints a line that stays.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tty && p.head != "" {
		fmt.Fprint(p.w, "\r\x1b[2K")
	}
	fmt.Fprintf(p.w, "        %s\n", text)
	p.draw()
}

// end closes the line of a stage with its state and time.
func (p *progress) end(state gate.StepState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	word := string(state)
	if word == "" {
		word = "?"
	}
	if p.color {
		word = paint(word)
	}
	if p.tty {
		fmt.Fprintf(p.w, "\r\x1b[2K%s %6.1f s  %s\n", p.head, time.Since(p.since).Seconds(), word)
	} else {
		fmt.Fprintf(p.w, "        %s after %.1f s\n", word, time.Since(p.since).Seconds())
	}
	if err != nil {
		fmt.Fprintf(p.w, "        %v\n", err)
	}
	p.head = ""
}

var paints = regexp.MustCompile(`\b(OK|PASS|APPROVED|FAIL|FAILED|ERROR|REFUSED|NO_DATA|NOT_RUN|DISABLED|NOT_EVALUABLE)\b`)

// paint gives the states of steps and criteria their colours in a text for a
// terminal: green for what is fine, yellow for what did not take place, red for
// the rest.
func paint(text string) string {
	return paints.ReplaceAllStringFunc(text, func(word string) string {
		switch word {
		case "OK", "PASS", "APPROVED":
			return "\x1b[32m" + word + "\x1b[0m"
		case "NO_DATA", "NOT_RUN", "DISABLED", "NOT_EVALUABLE":
			return "\x1b[33m" + word + "\x1b[0m"
		}
		return "\x1b[31m" + word + "\x1b[0m"
	})
}
