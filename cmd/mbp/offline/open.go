package offline

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// Open opens the journal of a server that is not running, and compares its end with
// what was signed. Close it.
func Open(data string) (*file.Log, error) {
	dir := filepath.Join(data, "journal")
	if _, err := os.Stat(dir); err != nil {
		return nil, exit.BadUsage(fmt.Errorf("no journal: %w", err))
	}
	key, err := notary.Open(data, false)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	holds, err := notary.Holds(data, key)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	log, err := file.Open(file.Config{Dir: dir, Holds: holds})
	if err != nil {
		return nil, exit.BadUsage(notary.Explain(err, data, holds))
	}
	return log, nil
}
