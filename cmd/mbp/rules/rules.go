// Package rules reads what resolution rules are checked and evaluated with: rule
// documents, facts, tables and parameters, from files that the user names.
//
// It promises that no more is read of a file than the resolver takes, and that a
// fault names the file. It refuses to judge: engine/resolver does, and its rules
// hold here, too.
package rules

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine/resolver"
)

// Load reads and compiles a rule document. A file that cannot be read is wrong
// usage; what is wrong with the rule is told by line.
func Load(path string) (*resolver.Program, error) {
	b, err := read(path, resolver.MaxRuleBytes)
	if err != nil {
		return nil, err
	}
	p, err := resolver.Load(b)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return p, nil
}

// Facts reads a facts document.
func Facts(path string) ([]byte, error) { return read(path, resolver.MaxFactsBytes) }

// Table reads the file of a table source.
func Table(path string) ([]byte, error) { return read(path, resolver.MaxTableBytes) }

// Params reads parameters of a rule, each as name=value.
func Params(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range texts {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, exit.BadUsage(fmt.Errorf("--param %q is not name=value", p))
		}
		out[k] = v
	}
	return out, nil
}

// read reads a file of at most so many bytes.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, exit.BadUsage(fmt.Errorf("%s has more than %d bytes", path, limit))
	}
	return b, nil
}
