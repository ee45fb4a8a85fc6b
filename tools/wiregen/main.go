// Command wiregen writes the binary codecs of a package's records from the
// structs themselves: wire_gen.go, beside them, in the vocabulary of
// engine/internal/wire. A struct takes part if a line of its doc comment says so:
//
//	//wire:command 10 place_order   a Command: Type, commandKind, fields, newCommand
//	//wire:event 9 order_filled     an Event: Type, eventKind, fields, newEvent
//	//wire:part                     fields alone, for use inside the others
//
// Fields are coded in the order of the struct. Unsigned integers, int64 kinds,
// truth values, byte arrays and structs with a directive need nothing more; what
// has a length needs its limit, a number or a constant of the package:
//
//	Title   string    `wire:"512"`             at most 512 bytes
//	Facts   []byte    `wire:"max=64"`          at most 64 bytes
//	Fills   []Fill    `wire:"max=64"`          at most 64 elements
//	Labels  []string  `wire:"max=64,text=32"`  at most 64 of at most 32 bytes
//	Items   []Command `wire:"max=50"`          coded by the package's codeCommands
//	Limit   Price     `wire:"opt"`             usually zero: see wire.Mask
//	Owner   string    `wire:"64,opt"`          usually empty
//	cache   int       `wire:"-"`               not coded
//
// Neighbours tagged opt share one mask in front of them, so that a zero costs a
// bit; a field added at the end of such a group leaves older records readable.
//
// It promises: equal sources give equal bytes; it reads syntax alone, so it works
// before the file that it writes exists. It refuses, with the place and with all
// faults at once, whatever it does not know: a kind or word used twice, a limit
// that is missing, a struct without a doc comment, a type without an encoding,
// parts that contain themselves.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// output is the file that wiregen writes.
const output = "wire_gen.go"

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "wiregen: %v\n", err)
		os.Exit(1)
	}
}

// run writes the codecs of the package in the folder that args names, by default
// the current one, as under go:generate.
func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("wiregen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir := "."
	switch flags.NArg() {
	case 0:
	case 1:
		dir = flags.Arg(0)
	default:
		return errors.New("one folder at most")
	}
	code, err := generate(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, output), code, 0o644)
}

// generate returns the text of the output for the package in dir.
func generate(dir string) ([]byte, error) {
	p, err := read(dir)
	if err != nil {
		return nil, err
	}
	p.collect()
	if len(p.faults) == 0 && len(p.records) == 0 {
		return nil, fmt.Errorf("%w in %s", errNothing, dir)
	}
	code := p.emit()
	if err := p.failed(); err != nil {
		return nil, err
	}
	return code()
}

// errNothing says that no struct asks for a codec.
var errNothing = errors.New("no //wire: directive")
