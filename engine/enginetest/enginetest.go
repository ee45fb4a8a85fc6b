// Package enginetest is a small language in which the behaviour of the market
// reads like a trading transcript: commands, a line of dashes, and what came of
// them. It promises that every command goes through the engine's public face,
// that the engine's own commands (deadlines, payouts) run as a writer would run
// them, and that after each step the state's invariants hold and the journal so
// far folds to the same state. It refuses what it does not know by line, and it
// never guesses.
//
//	accounts ana=100 bob=100
//	market rain price=0.5 liquidity=50 by=ana
//	buy yes amount=10 by=bob
//	----
//	rain: open, YES 0.5 NO 0.5
//	filled 18.333333 YES for 10 at 0.545455, price 0.5 → 0.590164
//
// A script is a list of blocks separated by empty lines; lines that begin with #
// are comments; testdata/README.md lists the verbs. The form follows the
// data-driven tests of CockroachDB and Pebble.
package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

const separator = "----"

// ErrBroken wraps what no script can be to blame for: a command that broke an
// invariant of the engine, or a journal that does not fold to the same state.
var ErrBroken = errors.New("the engine is broken")

// Play runs a script and returns it with what happened in place of what was
// expected. The error names the line that is not of the language, or wraps
// ErrBroken.
func Play(script []byte) ([]byte, error) {
	w := newWorld()
	var out bytes.Buffer
	lines := strings.Split(strings.TrimSpace(string(script)), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		switch {
		case line == separator:
			for i+1 < len(lines) && strings.TrimSpace(lines[i+1]) != "" { // what was expected
				i++
			}
			fmt.Fprintln(&out, separator)
			out.WriteString(w.said())
			continue
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			items := []string{}
			for line == "batch" || strings.HasPrefix(line, "batch ") {
				if i+1 >= len(lines) || !strings.HasPrefix(lines[i+1], "  ") || strings.TrimSpace(lines[i+1]) == "" {
					break
				}
				i++
				items = append(items, strings.TrimSpace(lines[i]))
			}
			if err := w.line(line, items); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			fmt.Fprintln(&out, line)
			for _, item := range items {
				fmt.Fprintf(&out, "  %s\n", item)
			}
			continue
		}
		fmt.Fprintln(&out, line)
	}
	if rest := w.said(); rest != "" {
		return nil, fmt.Errorf("the script ends without a line %s for:\n%s", separator, rest)
	}
	return out.Bytes(), w.refold()
}

// world is the market of one script.
type world struct {
	state    *core.State
	d        engine.Decision
	code     engine.Code // of the last command that a line gave
	now      engine.Time
	accounts map[string]engine.AccountID
	names    map[engine.AccountID]string
	markets  map[string]engine.MarketID
	titles   map[engine.MarketID]string
	current  engine.MarketID
	orders   []engine.OrderID // #1, #2, … in the order in which they rested
	quoted   engine.Seq       // when the last quote was made
	digests  byte
	journal  [][]byte
	out      strings.Builder
}

// start is when every script begins.
const start = engine.Time(1_767_225_600_000_000) // 2026-01-01T00:00:00Z

func newWorld() *world {
	w := &world{
		state: core.New(), now: start,
		accounts: map[string]engine.AccountID{}, names: map[engine.AccountID]string{},
		markets: map[string]engine.MarketID{}, titles: map[engine.MarketID]string{},
	}
	p := engine.DefaultPolicy()
	p.OrderInterval, p.OrderBurst = 1, 1_000_000 // scripts that are about rates set their own
	_ = w.step("admin", &engine.Initialise{
		Policy: p, Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin},
	})
	w.out.Reset()
	return w
}

func (w *world) said() string {
	s := w.out.String()
	w.out.Reset()
	return s
}

// do gives a command and lets the engine work off what it owes itself.
func (w *world) do(principal string, c engine.Command) error {
	if err := w.dues(); err != nil {
		return err
	}
	if err := w.step(principal, c); err != nil {
		return err
	}
	w.code = w.d.Code
	return w.dues()
}

// dues gives the engine's own commands.
func (w *world) dues() error {
	for c := w.state.Due(w.now); c != nil; c = w.state.Due(w.now) {
		if err := w.step(engine.System, c); err != nil {
			return err
		}
	}
	return nil
}

// longest is how many decisions a script may take.
const longest = 20_000

func (w *world) step(principal string, c engine.Command) error {
	if len(w.journal) >= longest {
		return fmt.Errorf("a script takes at most %d decisions", longest)
	}
	if err := w.state.Step(engine.Request{At: w.now, Principal: principal, Command: c}, &w.d); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBroken, c.Type(), err)
	}
	w.journal = append(w.journal, w.d.Append(nil))
	w.tell(&w.d)
	if err := w.state.Check(); err != nil {
		return fmt.Errorf("%w: after %s: %w", ErrBroken, c.Type(), err)
	}
	return nil
}

// refold reads the journal again: folding it, and deciding again, must both end
// where the script ended.
func (w *world) refold() error {
	folded, again := core.New(), core.New()
	var d engine.Decision
	for i, record := range w.journal {
		read, err := engine.Decode(engine.Seq(i+1), record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if err := again.Step(read.Request, &d); err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if !bytes.Equal(d.Append(nil), record) {
			return fmt.Errorf("%w: sequence %d is decided otherwise the second time", ErrBroken, i+1)
		}
		if err := folded.Evolve(read); err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	if folded.Hash() != w.state.Hash() || again.Hash() != w.state.Hash() {
		return fmt.Errorf("%w: the journal does not fold to the state that decided it", ErrBroken)
	}
	return nil
}
