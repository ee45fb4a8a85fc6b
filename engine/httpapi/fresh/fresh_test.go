package fresh_test

import (
	"testing"

	"github.com/mbp-market/mbp/engine/httpapi/fresh"
)

func TestHas(t *testing.T) {
	tag := fresh.Tag([]byte(`{"seq":5}`))
	if len(tag) != 34 || tag == fresh.Tag([]byte(`{"seq":6}`)) || tag != fresh.Tag([]byte(`{"seq":5}`)) {
		t.Fatal(tag)
	}
	for says, has := range map[string]bool{
		tag: true, "W/" + tag: true, `"x", ` + tag: true, `"x",W/` + tag + ` , "y"`: true, "*": true, " * ": true,
		"": false, `"x"`: false, tag[1 : len(tag)-1]: false, tag[:20]: false, "w/" + tag: false, `"*"`: false,
	} {
		if got := fresh.Has([]string{says}, tag); got != has {
			t.Errorf("%q: %v", says, got)
		}
	}
	if fresh.Has(nil, tag) || !fresh.Has([]string{`"x"`, tag}, tag) {
		t.Error("a header that is not there, or twice")
	}
}
