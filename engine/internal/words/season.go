package words

// SeasonState is how far a season is.
type SeasonState uint8

// The states of a season. The numbers are journalled.
const (
	Announced SeasonState = 1 // it has not begun
	Running   SeasonState = 2
	Counting  SeasonState = 3 // its end has come, and what accounts had then is being added up
	Ended     SeasonState = 4 // its standings stand
)

var seasonNames = []string{"", "announced", "running", "counting", "ended"}

// String returns the stable word.
func (s SeasonState) String() string { return Name(seasonNames, int(s)) }

// MarshalText writes the stable word.
func (s SeasonState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the stable word.
func (s *SeasonState) UnmarshalText(b []byte) error {
	i, err := Index(seasonNames, "state", string(b))
	*s = SeasonState(i)
	return err
}
