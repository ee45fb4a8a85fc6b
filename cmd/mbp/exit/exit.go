// Package exit is how a command says with which status the process ends. It
// promises that the statuses of mbp are in one place; it refuses to end the
// process itself, which is main's alone to do.
package exit

// The statuses.
const (
	OK       = 0
	Rejected = 1 // the server said no, or the work failed
	Usage    = 2 // the command line or the configuration is wrong
	NoAnswer = 3 // the server cannot be reached, or does not know the key
)

// Error is an error that ends the program with a status of its own.
type Error struct {
	Code int
	Err  error
}

// Error returns the text of the error inside.
func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e Error) Unwrap() error { return e.Err }

// ExitCode is the status for os.Exit.
func (e Error) ExitCode() int { return e.Code }

// BadUsage wraps what is wrong with the command line.
func BadUsage(err error) error { return Error{Usage, err} }
