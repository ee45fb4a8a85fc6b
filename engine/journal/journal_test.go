package journal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
)

func TestCheckBatch(t *testing.T) {
	full := make([][]byte, journal.MaxBatchBytes/journal.MaxRecord)
	for i := range full {
		full[i] = make([]byte, journal.MaxRecord)
	}
	for name, c := range map[string]struct {
		next, first uint64
		payloads    [][]byte
		ok          bool
	}{
		"one":       {7, 7, [][]byte{{1}}, true},
		"full":      {1, 1, full, true},
		"over full": {1, 1, append(full[:len(full):len(full)], []byte{1}), false},
		"early":     {7, 6, [][]byte{{1}}, false},
		"late":      {7, 8, [][]byte{{1}}, false},
		"none":      {1, 1, nil, false},
		"empty":     {1, 1, [][]byte{{1}, {}}, false},
	} {
		err := journal.CheckBatch(c.next, c.first, c.payloads)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, journal.ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCorruptErrorNamesThePlace(t *testing.T) {
	err := &journal.CorruptError{Place: "seg", Offset: 4096, Seq: 17, Reason: "why"}
	for _, want := range []string{"seg", "4096", "17", "why"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
	}
}
