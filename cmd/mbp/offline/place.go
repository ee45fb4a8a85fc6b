package offline

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// place is the data folder that an offline verb reads.
type place struct {
	data    string
	archive string
}

func (p *place) bind(f *pflag.FlagSet) {
	f.StringVar(&p.data, "data", "mbp-data", "`folder` of a server, running or not, or a copy of it")
	f.StringVar(&p.archive, "archive", "", "`folder` of its released segments; empty: it released none")
}

// open opens the journal for reading, and returns how many decisions its newest
// checkpoint covers. That is read first: a server that runs meanwhile only adds.
// progress may be nil. An error that is not of usage says what does not hold.
func (p *place) open(progress func(done, total int64)) (*file.Reader, uint64, error) {
	dir := notary.Journal(p.data)
	if _, err := os.Stat(dir); err != nil {
		return nil, 0, exit.BadUsage(fmt.Errorf("no journal: %w", err))
	}
	key, err := notary.Open(p.data, false)
	if err != nil {
		return nil, 0, exit.BadUsage(err)
	}
	holds, err := notary.Holds(p.data, key)
	if err != nil {
		return nil, 0, exit.BadUsage(err)
	}
	log, err := p.reader(holds, progress)
	if notary.Damage(err) {
		return nil, holds, notary.Explain(err, p.data, holds)
	}
	if err != nil {
		return nil, holds, exit.BadUsage(err)
	}
	return log, holds, nil
}

// Open opens the journal of a data folder for reading, beside a server if one runs
// there. archive is the folder of released segments; empty: there is none.
func Open(data, archive string) (*file.Reader, error) {
	log, _, err := (&place{data, archive}).open(nil)
	return log, err
}

// reader opens the journal with what is known of its length.
func (p *place) reader(holds uint64, progress func(done, total int64)) (*file.Reader, error) {
	return file.OpenReader(file.ReaderConfig{Dir: notary.Journal(p.data), Archive: p.archive, Holds: holds, Progress: progress})
}
