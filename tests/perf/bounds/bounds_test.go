package bounds

import (
	"bytes"
	"testing"
)

// TestJudge: what was not measured has not passed, a ratio is of equal rounds, and a busy
// machine excuses only a limit that names it.
func TestJudge(t *testing.T) {
	limits, err := Read("head,,,,,,,\n" +
		"median,x,,min,2,,,w\nlow,x,,min,2.5,,,w\nratio,x,y,max,2,,,w\nabsent,z,,max,1,,,w\nnothing,x,zero,max,1,,,w\n" +
		"busy,x,,max,1,y,0.5,w\nquiet,x,,max,1,y,5,w\nfine,x,,max,5,y,0.5,w\n")
	if err != nil {
		t.Fatal(err)
	}
	all := Judge(limits, Results{"x": {1, 9, 2}, "y": {1, 1, 1}, "zero": {0, 1, 1}})
	got := ""
	for i := range all {
		got += all[i].Name + "=" + all[i].State + " "
	}
	if want := "median=PASS low=FAIL ratio=PASS absent=NOT_RUN nothing=NOT_RUN busy=BUSY quiet=FAIL fine=PASS "; got != want {
		t.Errorf("judged %s, want %s", got, want)
	}
	for want, js := range map[int][]Judged{0: {all[0], all[7]}, 1: {all[5], all[3]}, 3: {all[0], all[5]}} {
		if code := Report(nil, js, want == 0, &bytes.Buffer{}); code != want {
			t.Errorf("exit code %d of %v, want %d", code, js, want)
		}
	}
	for _, bad := range []string{"a,x,,min,0,,,w", "a,x,,max,-1,,,w", "a,x,,least,1,,,w", "a,x,,min,?,,,w", "a,x,,min,1,y,,w", "a,x"} {
		if _, err := Read("head,,,,,,,\n" + bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
