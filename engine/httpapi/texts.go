package httpapi

import (
	"fmt"
	"strings"

	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// screened refuses texts in which personal data is suspected. It says where and of
// what kind, and nothing of what was written.
func screened(found []wire.Suspect) error {
	if len(found) == 0 {
		return nil
	}
	told := make([]string, len(found))
	for i, s := range found {
		told[i] = fmt.Sprintf("%s (%s)", s.Field, s.Kind)
	}
	return &problem.Refusal{Code: problem.PIISuspected, Detail: wire.ClipText(strings.Join(told, ", "))}
}
