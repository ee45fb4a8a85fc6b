package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check looks at the decoded JSON document. Nothing at the pointer is a fault:
// what was not looked at has not passed.
func (e Expect) Check(doc any) error {
	found := pointer(doc, strings.Split(strings.TrimPrefix(e.At, "/"), "/"))
	if len(found) == 0 {
		return errors.New("nothing is there")
	}
	for _, v := range found {
		if err := e.holds(v); err != nil {
			return err
		}
	}
	return nil
}

// pointer collects what a JSON pointer, with * for every element, reaches.
func pointer(v any, parts []string) []any {
	if len(parts) == 0 || len(parts) == 1 && parts[0] == "" {
		return []any{v}
	}
	var next []any
	switch at := v.(type) {
	case map[string]any:
		if parts[0] == "*" {
			for _, k := range slices.Sorted(maps.Keys(at)) {
				next = append(next, at[k])
			}
		} else if child, there := at[strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[0])]; there {
			next = append(next, child)
		}
	case []any:
		if parts[0] == "*" {
			next = at
		}
	}
	var found []any
	for _, n := range next {
		found = append(found, pointer(n, parts[1:])...)
	}
	return found
}

func (e Expect) holds(v any) error {
	list, isList := v.([]any)
	number, isNumber := v.(float64)
	text, isText := v.(string)
	switch {
	case e.MinItems > 0 && (!isList || len(list) < e.MinItems):
		return fmt.Errorf("%d items, at least %d are needed", len(list), e.MinItems)
	case e.Min != nil && (!isNumber || number < *e.Min):
		return fmt.Errorf("%v, at least %v is needed", v, *e.Min)
	case e.Max != nil && (!isNumber || number > *e.Max):
		return fmt.Errorf("%v, at most %v is allowed", v, *e.Max)
	case len(e.Only) > 0 && (!isText || !slices.Contains(e.Only, text)):
		return fmt.Errorf("%v, allowed are %s", v, strings.Join(e.Only, ", "))
	}
	return nil
}
