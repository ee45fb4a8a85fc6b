package rate

import "testing"

// TestPlaces: each has so many, gets them back, and leaves nothing behind.
func TestPlaces(t *testing.T) {
	p := NewPlaces[string](2)
	if !p.Enter("ana") || !p.Enter("ana") || p.Enter("ana") || !p.Enter("bob") {
		t.Fatal("two places each")
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
