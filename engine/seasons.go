package engine

import "github.com/mbp-market/mbp/engine/internal/words"

// SeasonState is how far a season is.
type SeasonState = words.SeasonState

// The states of a season. The numbers are journalled.
const (
	SeasonAnnounced = words.Announced // it has not begun
	SeasonRunning   = words.Running
	SeasonCounting  = words.Counting // its end has come, and what accounts had then is being added up
	SeasonEnded     = words.Ended    // its standings stand
)

// MaxSeasons bounds the seasons that are announced or run, so that the list of them is
// short; as many that ended are kept.
const MaxSeasons = 12

// OpenSeason announces a season: from its start to its end, accounts are compared by
// what they win. No two seasons overlap.
//
//wire:command 90 open_season
type OpenSeason struct {
	Name  string `json:"name" wire:"64"` // a-z, 0-9, -, 1..64 characters
	Start Time   `json:"start,omitzero"` // 0: at once
	End   Time   `json:"end"`
}

// EndSeason ends a season that runs at once, or withdraws one that has not begun.
//
//wire:command 91 end_season
type EndSeason struct {
	Name string `json:"name" wire:"64"`
}

// CountSeason does the next piece of a count: what some of the accounts had at the
// moment that began it, at most WorkLimit of them. State.Due gives the command.
//
//wire:command 92 count_season
type CountSeason struct{}

// SetRanking says whether an account may stand in the standings of seasons. Those that
// ended show it, if it stood there, when it may again.
//
//wire:command 93 set_ranking
type SetRanking struct {
	Account AccountID `json:"account"`
	Ranked  bool      `json:"ranked"`
}

// SeasonOpened says that a season is announced.
//
//wire:event 90 season_opened
type SeasonOpened struct {
	Name  string `json:"name" wire:"64"`
	Start Time   `json:"start"`
	End   Time   `json:"end"`
}

// SeasonStopped says that a season ends now, or that one is withdrawn that has not
// begun.
//
//wire:event 91 season_stopped
type SeasonStopped struct {
	Name string `json:"name" wire:"64"`
}

// SeasonTurned is the moment at which a season ends, or another one begins, or both: what
// the accounts up to the last one have now is what counts, whatever comes before they
// are counted.
//
//wire:event 92 season_turned
type SeasonTurned struct {
	Ends   string    `json:"ends,omitempty" wire:"64"`
	Begins string    `json:"begins,omitempty" wire:"64"`
	Last   AccountID `json:"last,omitempty"`
}

// SeasonCounted says what some accounts had at the moment of the turn: their credits,
// reserved ones too, and what their shares and their part of the pools were worth at the
// prices of the moment, rounded down for each market.
//
//wire:event 93 season_counted
type SeasonCounted struct {
	From     AccountID   `json:"from"`
	Values   []Micros    `json:"values_micros" wire:"max=1000"`      // of the accounts from From on, one after another
	Unranked []AccountID `json:"unranked,omitempty" wire:"max=1000"` // of them
	Next     AccountID   `json:"next,omitempty"`                     // the first account not counted; 0: all were
	Markets  uint32      `json:"markets,omitempty" wire:"opt"`       // of Next that are counted,
	Part     Micros      `json:"part_micros,omitempty" wire:"opt"`   // which with its credits were worth so much
}

// RankingSet says whether an account may stand in standings from now on.
//
//wire:event 94 ranking_set
type RankingSet struct {
	Account AccountID `json:"account"`
	Ranked  bool      `json:"ranked"`
}

// Season is what anybody may know of a season.
type Season struct {
	Name     string      `json:"name"`
	State    SeasonState `json:"state"`
	Start    Time        `json:"start"`
	End      Time        `json:"end"`
	BeganAt  *Time       `json:"began_at,omitempty"` // the moment from which profits count
	EndedAt  *Time       `json:"ended_at,omitempty"` // the moment up to which they do
	Accounts int         `json:"ranked_accounts"`    // with a standing; of a season that ended
}

// Standing is a line of the standings of a season. Equal profits have the same rank.
type Standing struct {
	Rank    int       `json:"rank"`
	Account AccountID `json:"account"`
	Profit  Micros    `json:"profit_micros"` // below zero: a loss
}
