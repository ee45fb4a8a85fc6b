package resolver

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads, checks and compiles one YAML document. The error is Faults, all of
// them at once and with their lines: unknown and repeated keys, aliases, more
// than one document and anything over the bounds are faults.
func Load(b []byte) (*Program, error) {
	if len(b) > MaxRuleBytes {
		return nil, Faults{{Text: fmt.Sprintf("more than %d bytes", MaxRuleBytes)}}
	}
	lines, faults := survey(b)
	if len(faults) != 0 {
		return nil, faults
	}
	var r Rule
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	faults = decodeFaults(d.Decode(&r))
	p, more := compile(&r)
	for _, f := range more {
		f.Line = lines.at(f.Path)
		faults = append(faults, f)
	}
	if len(faults) != 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, faults
	}
	return p, nil
}

// lines knows where each field of a document stands.
type lines map[string]int

// at returns the line of the field, or of the nearest one around it.
func (l lines) at(path string) int {
	for path != "" {
		if n, ok := l[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return l[""]
}

// survey looks at the shape of the document before anything is decoded: nothing
// in it may stand for more than is written.
func survey(b []byte) (lines, Faults) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, next yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, Faults{{Text: "empty document"}}
	} else if err != nil {
		return nil, decodeFaults(err)
	}
	if err := d.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, Faults{{Line: next.Line, Text: "more than one document"}}
	}
	s := surveyor{lines: lines{}}
	s.walk(&doc, "", 0)
	if s.nodes > maxNodes {
		s.fault(&doc, "", fmt.Sprintf("more than %d keys and values", maxNodes))
	}
	return s.lines, s.faults
}

type surveyor struct {
	lines  lines
	faults Faults
	nodes  int
}

func (s *surveyor) fault(n *yaml.Node, path, text string) {
	s.faults = append(s.faults, Fault{Line: n.Line, Path: path, Text: text})
}

func (s *surveyor) walk(n *yaml.Node, path string, depth int) {
	if s.nodes++; s.nodes > maxNodes {
		return
	}
	if _, known := s.lines[path]; !known {
		s.lines[path] = n.Line
	}
	switch {
	case depth > maxDepth:
		s.fault(n, path, fmt.Sprintf("nested deeper than %d", maxDepth))
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		s.fault(n, path, "anchors and aliases are not for rules")
		return
	case n.Kind != yaml.DocumentNode && n.Style&yaml.TaggedStyle != 0:
		s.fault(n, path, "tags are not for rules")
		return
	}
	switch n.Kind {
	case yaml.DocumentNode:
		s.walk(n.Content[0], path, depth)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			s.walk(c, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	case yaml.MappingNode:
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				s.fault(key, path, "a key is plain text")
				continue
			}
			if line, twice := first[key.Value]; twice {
				s.fault(key, path, fmt.Sprintf("key %q appears twice, first on line %d", key.Value, line))
				continue
			}
			first[key.Value] = key.Line
			s.walk(value, strings.TrimPrefix(path+"."+key.Value, "."), depth+1)
		}
	}
}

// yamlLine finds the line in a message of the YAML library, and typeName what
// only a Go programmer would understand there.
var (
	yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	typeName = regexp.MustCompile(` (?:in|into) (?:type )?(?:resolver\.\w+|map\[.*|\[\].*)$`)
)

func decodeFaults(err error) Faults {
	if err == nil {
		return nil
	}
	texts := []string{err.Error()}
	if all := (*yaml.TypeError)(nil); errors.As(err, &all) {
		texts = all.Errors
	}
	var out Faults
	for _, text := range texts {
		m := yamlLine.FindStringSubmatch(strings.ReplaceAll(text, "\n", " "))
		line, _ := strconv.Atoi(m[1])
		out = append(out, Fault{Line: line, Text: typeName.ReplaceAllString(m[2], "")})
	}
	return out
}
