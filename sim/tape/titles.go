package tape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mbp-market/mbp/engine"
)

// definition is what a file of markets says beside the recording.
type definition struct {
	title     string
	mechanism string
	initial   int64 // raw; unknown if empty
}

// definitions reads markets.csv.gz or markets.csv beside the recording; neither
// is fine.
func definitions(ctx context.Context, beside string, limit int64) (map[string]definition, error) {
	for _, name := range []string{"markets.csv.gz", "markets.csv"} {
		t, err := open(ctx, filepath.Join(filepath.Dir(beside), name), []string{"market_id", "question", "mechanism", "initial_prob"})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		defer t.close()
		return readDefinitions(t, limit)
	}
	return nil, nil
}

func readDefinitions(t *table, limit int64) (map[string]definition, error) {
	defs := map[string]definition{}
	for {
		f, ok, err := t.next()
		switch {
		case errors.Is(err, io.EOF):
			return defs, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", t.file.Name(), err)
		case !ok || len(f[0]) > maxText || len(f[2]) > maxText:
			continue
		}
		initial, err := number(f[3])
		if err != nil {
			initial = unknown
		}
		defs[strings.Clone(f[0])] = definition{title: cleanTitle(f[1], limit), mechanism: strings.Clone(f[2]), initial: initial}
	}
}

// cleanTitle makes one line of at most limit bytes of what may be printed:
// no control, format or direction characters.
func cleanTitle(s string, limit int64) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	for int64(len(s)) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// number reads a field; empty is unknown.
func number(s string) (int64, error) {
	if s == "" {
		return unknown, nil
	}
	return micros(s)
}

// maker reports whether an automated maker priced the trades of a source.
func maker(mechanism, source string) bool {
	if mechanism == "" {
		return strings.HasPrefix(source, "manifold") || strings.HasPrefix(source, "lmsr")
	}
	return mechanism == "lmsr" || strings.HasPrefix(mechanism, "cpmm")
}

// inside keeps a price strictly between the template's bounds.
func inside(p int64, t *engine.Template) engine.Price {
	return min(max(engine.Price(p), t.MinPrice+1), t.MaxPrice-1)
}
