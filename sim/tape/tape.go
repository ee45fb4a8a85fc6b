// Package tape reads a recorded stream of real trades and maps it onto orders
// of this platform: who traded, in which market, what they bought or sold, and
// what the source says about prices.
//
// It promises: amounts are read exactly to the micro, without floating point;
// equal files and options give equal orders; every row that is not played is
// counted under a reason; hostile input (endless rows, compression bombs, NaN,
// control characters) is refused or counted, and never takes more memory than
// the bounds below say.
//
// It refuses a file without the columns it needs, and it never guesses a size:
// a row without one is played to the price it reports, or skipped. The mapping
// is written down at Trade and beside the functions that do it.
package tape

import (
	"github.com/mbp-market/mbp/engine"
)

// Bounds of a recording.
const (
	MaxBytes   = 2 << 30 // decompressed; more is a bomb or needs another tool
	MaxRecord  = 1 << 20 // bytes of one row
	MaxRows    = 2_000_000
	MaxSources = 64
	MaxMarkets = 20_000
	maxText    = 256 // bytes of an id
	maxReasons = 64  // distinct reasons to skip; further ones are counted together
)

// Note says how a row became an order where the row alone does not say it.
type Note uint8

// The notes.
const (
	// Clipped: the size was above the template's largest order.
	Clipped Note = 1 << iota
	// OutcomeInferred: the row names no outcome; its price lies nearer to the
	// probability of this one.
	OutcomeInferred
	// SideInferred: the row names no side; the price went up (buy YES) or down
	// (buy NO), or went on as before (the tick rule of Lee and Ready, 1991).
	SideInferred
	// ToPrice: the row has no size; the order carries the price to where the row
	// says it went, and no further.
	ToPrice
)

// NoteNames are the words of the notes, in the order of their bits.
var NoteNames = []string{"clipped", "outcome_inferred", "side_inferred", "played_to_price"}

// Trade is one executed row as an order.
//
// A BUY spends the row's amount (or buys its shares, where it has no amount). A
// SELL sells the row's shares. A row without a side follows the tick rule: up
// buys YES for the row's amount, down buys as many NO shares as the row has
// YES shares, which moves the pool like their sale.
type Trade struct {
	Row     int // data row of the file, from 1
	At      engine.Time
	Source  int // index into Tape.Sources
	Market  int // index into Tape.Markets
	Account int // index into Tape.Accounts
	Order   engine.PlaceOrder
	Before  engine.Price // probability of YES before the trade; 0 unknown
	After   engine.Price // and after it
	Notes   Note
}

// Source is where rows come from.
type Source struct {
	Name     string
	Rows     int            // all rows
	Executed int            // rows that really traded
	Trades   int            // executed rows that became orders
	Skipped  map[string]int // by reason
	AMM      bool           // a maker priced it, so price impacts can be compared
	priced   int            // prices in all, and those above one: where they are half or more, prices are 0..100
	over     int
}

// Market is a market of the recording.
type Market struct {
	ID        string // the source's id
	Source    int
	Title     string
	Open      engine.Price  // probability of YES to open with
	Depth     engine.Micros // √(pool YES · pool NO)
	Liquidity engine.Micros // what the creator seeds to get that depth at that price
}

// Account is a trader of the recording.
type Account struct {
	Name    string        // source and the source's pseudonym, or a synthetic one
	Credits engine.Micros // enough for all of its rows
}

// Tape is a whole recording.
type Tape struct {
	SHA256   engine.Digest // of the file's bytes
	Rows     int
	Sources  []Source
	Markets  []Market
	Accounts []Account
	Trades   []Trade // in the order of the file
}

// Options say how rows are mapped. Equal files and options give equal tapes.
type Options struct {
	Seed      uint64          // spreads rows without an account
	Synthetic int             // accounts for a source's rows without one, ≥ 1
	Liquidity engine.Micros   // of every market; 0: fitted to the recording
	Template  engine.Template // whose bounds hold
	Limit     int             // play only the first executed rows; 0: all
}
