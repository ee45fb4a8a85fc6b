package rate

import "testing"

// TestPlaces: each has so many, gets them back, and leaves nothing behind.
func TestPlaces(t *testing.T) {
	p := NewPlaces[string](2)
	for i, want := range []bool{true, true, false} {
		if p.Enter("ana") != want {
			t.Fatalf("place %d: want %v", i+1, want)
		}
	}
	if !p.Enter("bob") {
		t.Fatal("somebody else's places are taken")
	}
	p.Leave("ana")
	if !p.Enter("ana") || p.Enter("ana") {
		t.Error("the place did not come back, or came twice")
	}
	p.Leave("ana")
	p.Leave("ana")
	p.Leave("bob")
	if len(p.count) != 0 {
		t.Errorf("%v is kept", p.count)
	}
}
