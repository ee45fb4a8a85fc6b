package nodetest

import (
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

// The leased log is a log like any other.
func TestLeasedLog(t *testing.T) {
	fresh := func(*testing.T) journaltest.Place {
		s := newLease(&world{report: &Report{}})
		n := 0
		return journaltest.Place{Open: func() (journal.Log, error) {
			n = 1 - n
			log, _, err := s.open(n, &gate{})
			return log, err
		}}
	}
	journaltest.Run(t, fresh)
	journaltest.RunPipelined(t, fresh)
}
