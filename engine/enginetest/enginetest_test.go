package enginetest

import "testing"

// TestScripts runs the behaviours of the market: testdata/*.txt, one rule each.
func TestScripts(t *testing.T) { Run(t, "testdata") }
