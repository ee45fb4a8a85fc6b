package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/mbp-market/mbp/cmd/mbp/backup"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// lake says whether the change capture can go on where it ended, with the journal
// that a start with these settings has.
func (i Installation) lake() Finding {
	f := Finding{Check: "lake", State: Pass}
	ends, err := lake.Position(lake.OS(filepath.Join(i.Data, "lake")))
	if err != nil {
		return Finding{"lake", Fail, err.Error(), "see docs/runbooks/cdc_lag.md"}
	}
	f.Found = fmt.Sprintf("it holds decisions up to %d", ends)
	if i.Database { // has every decision
		return f
	}
	log, err := file.OpenReader(file.ReaderConfig{Dir: notary.Journal(i.Data), Archive: i.Archive})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Finding{"lake", NotRun, "there is no journal yet", ""}
	case err != nil:
		return Finding{"lake", NotRun, err.Error(), ""}
	case log.First() <= 1:
		f.Found += fmt.Sprintf("; the journal ends at %d", log.Next()-1)
		return f
	}
	kept, err := snapshot.ReadStore(file.ReadOnly{}, backup.Snapshots(i.Data)).List()
	if err != nil {
		return Finding{"lake", NotRun, err.Error(), ""}
	}
	for _, s := range kept {
		if uint64(s.Seq) <= ends && uint64(s.Seq)+1 >= log.First() {
			f.Found += fmt.Sprintf(", and goes on with the snapshot of %d", s.Seq)
			return f
		}
	}
	f.State = Fail
	f.Found = fmt.Sprintf("it lacks decisions %d to %d: the journal here begins at %d, and no snapshot is as old as the lake", ends+1, log.Next()-1, log.First())
	f.Next = "start the server with --archive and the folder of its released segments: the lake goes on without a gap (docs/runbooks/archive.md)"
	return f
}
