package tape

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Columns that a recording must have; others are ignored.
var Columns = []string{
	"ts", "source", "market_id", "account", "outcome", "side", "amount", "shares",
	"price", "price_before", "price_after", "limit_price", "status",
}

// The positions of Columns.
const (
	colTime = iota
	colSource
	colMarket
	colAccount
	colOutcome
	colSide
	colAmount
	colShares
	colPrice
	colBefore
	colAfter
	colLimit
	colStatus
)

// row is an executed row as read. Numbers are unknown where the field is empty.
type row struct {
	n                            int
	at                           engine.Time
	source, market, account      int
	outcome                      int8 // engine.Outcome, or −1
	side                         engine.Side
	amount, shares               int64 // magnitudes
	price, before, after, limits int64 // as written, in millionths
}

// loader gathers the rows of a file.
type loader struct {
	opt      Options
	tape     *Tape
	sources  map[string]int
	markets  map[string]int
	accounts map[string]int
	defs     map[string]definition
	rows     []row
	reasons  map[string]bool
}

// Load reads a recording, gzip or plain CSV, and maps it. Errors are those of
// the file as a whole; rows that cannot be played are counted.
func Load(ctx context.Context, path string, opt Options) (*Tape, error) {
	if opt.Synthetic < 1 {
		return nil, errors.New("at least one synthetic account is needed")
	}
	defs, err := definitions(ctx, path, opt.Template.MaxTitle)
	if err != nil {
		return nil, err
	}
	l := &loader{
		opt: opt, tape: &Tape{}, defs: defs,
		sources: map[string]int{}, markets: map[string]int{}, accounts: map[string]int{}, reasons: map[string]bool{},
	}
	if l.tape.SHA256, err = digestOf(path); err != nil {
		return nil, err
	}
	t, err := open(ctx, path, Columns)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for {
		f, ok, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if err := l.take(t.n, f, ok); err != nil {
			return nil, fmt.Errorf("read %s: row %d: %w", path, t.n, err)
		}
	}
	l.tape.Rows = t.n
	l.build()
	return l.tape, nil
}

// take reads one row. An error refuses the file.
func (l *loader) take(n int, f []string, ok bool) error {
	name := ""
	if ok {
		name = f[colSource]
	}
	if !ok || !isName(name) {
		name = "unreadable"
	}
	i, known := l.sources[name]
	if !known {
		if len(l.tape.Sources) == MaxSources {
			return fmt.Errorf("%w: more than %d sources", ErrTooMuch, MaxSources)
		}
		i = len(l.tape.Sources)
		l.tape.Sources = append(l.tape.Sources, Source{Name: strings.Clone(name), Skipped: map[string]int{}})
		l.sources[l.tape.Sources[i].Name] = i
	}
	src := &l.tape.Sources[i]
	src.Rows++
	if !ok || name == "unreadable" {
		l.skip(i, "malformed_row")
		return nil
	}
	if !executed(f[colStatus]) {
		l.skip(i, "status_"+clean(f[colStatus]))
		return nil
	}
	src.Executed++
	r := row{n: n, source: i}
	if reason := r.parse(f); reason != "" {
		l.skip(i, reason)
		return nil
	}
	for _, p := range []int64{r.price, r.before, r.after, r.limits} {
		if p != unknown {
			src.priced++
		}
		if p > engine.One {
			src.over++
		}
	}
	var err error
	if r.market, err = l.market(i, f[colMarket]); err != nil {
		return err
	}
	r.account = l.account(&r, f[colAccount])
	l.rows = append(l.rows, r)
	return nil
}

// parse reads the fields of a row; a reason says why it cannot be played.
func (r *row) parse(f []string) (reason string) {
	at, err := time.Parse(time.RFC3339Nano, f[colTime])
	if err != nil {
		return "bad_time"
	}
	r.at = engine.Time(at.UnixMicro())
	for _, x := range []struct {
		to  *int64
		col int
	}{{&r.amount, colAmount}, {&r.shares, colShares}, {&r.price, colPrice}, {&r.before, colBefore}, {&r.after, colAfter}, {&r.limits, colLimit}} {
		if *x.to, err = number(f[x.col]); err != nil {
			return "bad_number"
		}
	}
	r.amount, r.shares = magnitude(r.amount), magnitude(r.shares)
	for _, p := range []int64{r.price, r.before, r.after, r.limits} {
		if p != unknown && (p < 0 || p > 100*engine.One) {
			return "bad_price"
		}
	}
	switch f[colOutcome] {
	case "YES":
		r.outcome = int8(engine.Yes)
	case "NO":
		r.outcome = int8(engine.No)
	case "":
		r.outcome = -1
	default:
		return "bad_outcome"
	}
	switch f[colSide] {
	case "BUY":
		r.side = engine.Buy
	case "SELL":
		r.side = engine.Sell
	case "":
	default:
		return "bad_side"
	}
	if len(f[colMarket]) > maxText || len(f[colAccount]) > maxText || f[colMarket] == "" {
		return "bad_id"
	}
	return ""
}

// magnitude drops the sign: sources disagree on whether paid or received is
// negative, and the side says it anyway.
func magnitude(v int64) int64 {
	if v == unknown {
		return 0
	}
	return max(v, -v)
}

func (l *loader) market(source int, id string) (int, error) {
	key := l.tape.Sources[source].Name + "\x00" + id
	if i, ok := l.markets[key]; ok {
		return i, nil
	}
	if len(l.tape.Markets) == MaxMarkets {
		return 0, fmt.Errorf("%w: more than %d markets", ErrTooMuch, MaxMarkets)
	}
	m := Market{ID: strings.Clone(id), Source: source, Title: l.defs[id].title}
	if m.Title == "" {
		m.Title = cleanTitle("Imported market "+id, l.opt.Template.MaxTitle)
	}
	l.markets[key] = len(l.tape.Markets)
	l.tape.Markets = append(l.tape.Markets, m)
	return len(l.tape.Markets) - 1, nil
}

// account returns the trader of a row. Names never meet across sources; a row
// without a name goes to one of the source's synthetic accounts.
func (l *loader) account(r *row, id string) int {
	name := l.tape.Sources[r.source].Name + "/" + id
	if id == "" {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%s/%d", l.opt.Seed, name, r.n)
		name += "#" + strconv.FormatUint(h.Sum64()%uint64(l.opt.Synthetic), 10)
	}
	i, ok := l.accounts[name]
	if !ok {
		i = len(l.tape.Accounts)
		l.accounts[name] = i
		l.tape.Accounts = append(l.tape.Accounts, Account{Name: name})
	}
	return i
}

func (l *loader) skip(source int, reason string) {
	if !l.reasons[reason] && len(l.reasons) == maxReasons {
		reason = "other"
	} else {
		l.reasons[reason] = true
	}
	l.tape.Sources[source].Skipped[reason]++
}

// executed reports whether a status says that the row traded.
func executed(status string) bool {
	return slices.Contains([]string{"filled", "filled_cost_mismatch"}, status) ||
		strings.HasPrefix(status, "partial_") || strings.HasPrefix(status, "inplay") || strings.HasPrefix(status, "preplay")
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.:-") == ""
}

// clean makes a word of a status that may be a label.
func clean(status string) string {
	if !isName(status) {
		return "unreadable"
	}
	return strings.Clone(status)
}
