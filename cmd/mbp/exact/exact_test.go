package exact

import (
	"testing"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

func TestNumbersAreExact(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "10": 10_000_000, "10.5": 10_500_000, "0.000001": 1, "007": 7_000_000, "9223372036854.775807": 1<<63 - 1} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", "0.0000001", "9223372036854.775808", " 1", "1 ", "٣", "1_0", "0x1", "1.2.3", "NaN"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "micros")
		if got, err := Parse(Format(n)); err != nil || got != n {
			t.Fatalf("%d is written %s and read %d (%v)", n, Format(n), got, err)
		}
	})
	if got := Format(int64(-1 << 63)); got != "-9223372036854.775808" {
		t.Error(got)
	}
}

// TestFlags: each flag takes what the engine may take, and writes it as it was.
func TestFlags(t *testing.T) {
	for _, c := range []struct {
		flag pflag.Value
		good []string
		bad  []string
	}{
		{new(Amount), []string{"0.000001", "10.5", "4503599627.370496"}, []string{"0", "-1", "4503599627.370497", ""}},
		{new(Price), []string{"0.000001", "0.55", "0.999999"}, []string{"0", "1", "-0.5", "55%"}},
		{new(Prices), []string{"0.5,0.3,0.2", "0.1"}, []string{"", "0.5,", "0.5, 0.5", "0.5;0.5", "0.5,1"}},
		{new(Value), []string{"-0.5", "100", "9223372036854.775807"}, []string{"", "-", "--1", "+1", "1e3", "9223372036854.775808"}},
	} {
		if c.flag.String() != "" {
			t.Errorf("%T says %q before it is given", c.flag, c.flag.String())
		}
		for _, s := range c.good {
			if err := c.flag.Set(s); err != nil || c.flag.String() != s {
				t.Errorf("%T %q is %q, %v", c.flag, s, c.flag.String(), err)
			}
		}
		for _, s := range c.bad {
			if err := c.flag.Set(s); err == nil {
				t.Errorf("%T takes %q", c.flag, s)
			}
		}
	}
}
