package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpTeaches: every verb says what it does, and whoever needs arguments or
// flags is shown how; what an example says can be read by the verb.
func TestHelpTeaches(t *testing.T) {
	var walk func(path string, cmd *cobra.Command)
	walk = func(path string, cmd *cobra.Command) {
		path += " " + cmd.Name()
		for _, sub := range cmd.Commands() {
			walk(path, sub)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short text %q", path, cmd.Short)
		}
		if cmd.RunE == nil {
			return
		}
		if strings.Contains(cmd.Use, "FILE") || strings.Contains(cmd.Use, "--") {
			if !strings.Contains(cmd.Example, path) {
				t.Errorf("%s shows no example of %q", path, cmd.Use)
			}
		}
		for example := range strings.Lines(cmd.Example) {
			example, _, _ = strings.Cut(example, " && ")
			if !strings.HasPrefix(strings.TrimSpace(example), path) {
				continue // what comes before or after it, by another verb
			}
			for _, text := range strings.Fields(example) {
				if name, is := strings.CutPrefix(text, "--"); is && cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: the example has --%s", path, name)
				}
			}
		}
	}
	root := rootCommand(func() {})
	for _, cmd := range root.Commands() {
		walk("mbp", cmd)
	}
}
