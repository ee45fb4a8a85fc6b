package main

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a place in the document; a missing one answers every question with
// nothing.
type node struct {
	*yaml.Node
	at string
}

func parse(b []byte) (node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return node{}, err
	}
	if len(doc.Content) != 1 {
		return node{}, fmt.Errorf("there is not one document")
	}
	return node{doc.Content[0], "#"}, nil
}

// get goes down by a name.
func (n node) get(names ...string) node {
	for _, name := range names {
		found := node{nil, n.at + "/" + name}
		if n.Node != nil && n.Kind == yaml.MappingNode {
			for i := 0; i < len(n.Content); i += 2 {
				if n.Content[i].Value == name {
					found.Node = n.Content[i+1]
				}
			}
		}
		n = found
	}
	return n
}

func (n node) has(name string) bool { return n.get(name).Node != nil }

// text is a scalar, "" of anything else.
func (n node) text() string {
	if n.Node == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// each calls see with every member of a mapping, in order.
func (n node) each(see func(name string, v node)) {
	if n.Node == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		see(name, node{n.Content[i+1], n.at + "/" + name})
	}
}

// list is the elements of a sequence; a scalar is a list of itself.
func (n node) list() []node {
	var out []node
	switch {
	case n.Node == nil:
	case n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			out = append(out, node{c, fmt.Sprintf("%s/%d", n.at, i)})
		}
	case n.Kind == yaml.ScalarNode:
		out = append(out, n)
	}
	return out
}

// texts is the scalars of a sequence.
func (n node) texts() []string {
	var out []string
	for _, c := range n.list() {
		out = append(out, c.text())
	}
	return out
}

// follow goes where a reference points to.
func (n node) follow(root node) node {
	for ref := n.get("$ref").text(); ref != ""; ref = n.get("$ref").text() {
		n = root.get(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return n
}

// comment writes a text as a comment of lines of at most a hundred characters.
func comment(b *bytes.Buffer, indent, text string) {
	words := strings.Fields(strings.ReplaceAll(text, "*/", "* /"))
	if len(words) == 0 {
		return
	}
	const width = 100
	var lines []string
	line := ""
	for _, w := range words {
		if line != "" && len(line)+1+len(w) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	lines = append(lines, line)
	if len(lines) == 1 {
		fmt.Fprintf(b, "%s/** %s */\n", indent, lines[0])
		return
	}
	fmt.Fprintf(b, "%s/**\n", indent)
	for _, l := range lines {
		fmt.Fprintf(b, "%s * %s\n", indent, l)
	}
	fmt.Fprintf(b, "%s */\n", indent)
}
