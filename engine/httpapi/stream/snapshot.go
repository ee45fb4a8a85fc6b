package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
)

const (
	// snapshotBytes bounds a snapshot, but for its last market, to what one line
	// carries in seconds; older markets are at /v1/markets.
	snapshotBytes = 2 << 20
	// snapshotAge is how old a snapshot may be that one more stream begins with; the
	// decisions since then follow it.
	snapshotAge = time.Second
	// snapshotTries is how often a stream begins anew whose client takes longer for a
	// snapshot than the decisions since then are remembered.
	snapshotTries = 3
)

// snapshots keeps the last one, for the streams that begin soon after.
type snapshots struct {
	mu    sync.Mutex // held while one is made: whoever comes meanwhile takes it, too
	last  hub.Frame
	taken time.Time
}

// snapshot returns the newest markets as the first event of a stream, at most
// snapshotAge old.
func (s *Server) snapshot() (hub.Frame, error) {
	s.snapshots.mu.Lock()
	defer s.snapshots.mu.Unlock()
	if k := &s.snapshots; k.last.Text == nil || time.Since(k.taken) > snapshotAge || !s.hub.Remembers(k.last.Seq) {
		begin := time.Now()
		next, err := s.encodeSnapshot(0)
		if err != nil {
			return hub.Frame{}, err
		}
		k.last, k.taken = next, begin
	}
	return s.snapshots.last, nil
}

// encodeSnapshot looks at markets in chunks, so some may be newer than its
// sequence, which is that of the first look: the events that follow tell where a
// market stands, not by how much it moved, and tell it once more. Of one market it is
// that one.
func (s *Server) encodeSnapshot(of engine.MarketID) (hub.Frame, error) {
	seq, _, next := roster.Look(s.src, 1, 1, 0)
	most := roster.LookOutcomes
	if of != 0 {
		next, most = of, 1
	}
	var markets [][]byte // the newest first
	for size := 0; next > 0 && size < snapshotBytes; {
		_, looks, _ := roster.Look(s.src, next, -1, most)
		next -= engine.MarketID(len(looks))
		for i := range looks {
			b, err := json.Marshal(looks[i].Market())
			if err != nil {
				return hub.Frame{}, err
			}
			if markets, size = append(markets, b), size+len(b); size >= snapshotBytes {
				break
			}
		}
		if of != 0 {
			break
		}
	}
	slices.Reverse(markets)
	text := fmt.Appendf(nil, "id: %d\nevent: snapshot\ndata: {\"seq\":%d,\"markets\":[", seq, seq)
	text = append(text, bytes.Join(markets, []byte(","))...)
	return hub.Frame{Seq: seq, Text: append(text, "]}\n\n"...)}, nil
}
