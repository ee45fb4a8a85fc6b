package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// source is the parsed package with everything found wrong in it.
type source struct {
	fset   *token.FileSet
	module module
	home   *scope            // the package itself
	others map[string]*scope // other packages of the module, by folder, once needed

	records []*record          // in the order of the files
	byName  map[string]*record // by the name of the struct
	faults  []fault
}

// scope is what wiregen knows of one package.
type scope struct {
	name   string
	files  []*ast.File
	types  map[string]declared
	consts map[string]bool
}

// declared is a type with the file that says what its imports mean.
type declared struct {
	spec *ast.TypeSpec
	file *ast.File
}

// fault is something that wiregen refuses.
type fault struct {
	at   token.Position
	text string
}

func (p *source) fault(pos token.Pos, format string, args ...any) {
	p.faults = append(p.faults, fault{p.fset.Position(pos), fmt.Sprintf(format, args...)})
}

// failed returns all faults as one error, in the order of the source.
func (p *source) failed() error {
	slices.SortStableFunc(p.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.at.Filename, b.at.Filename), cmp.Compare(a.at.Line, b.at.Line))
	})
	errs := make([]error, len(p.faults))
	for i, f := range p.faults {
		errs[i] = fmt.Errorf("%s:%d: %s", f.at.Filename, f.at.Line, f.text)
	}
	return errors.Join(errs...)
}

// read parses the package in dir.
func read(dir string) (*source, error) {
	m, err := findModule(dir)
	if err != nil {
		return nil, err
	}
	p := &source{fset: token.NewFileSet(), module: m, others: map[string]*scope{}, byName: map[string]*record{}}
	p.home, err = p.readScope(dir)
	return p, err
}

// readScope parses the files in dir that people write, without its tests.
func (p *source) readScope(dir string) (*scope, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &scope{types: map[string]declared{}, consts: map[string]bool{}}
	for _, name := range names { // sorted, says Glob
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(p.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(f) {
			continue
		}
		s.name = f.Name.Name
		s.files = append(s.files, f)
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declare(g, f)
			}
		}
	}
	if len(s.files) == 0 {
		return nil, fmt.Errorf("no Go files in %s", dir)
	}
	return s, nil
}

func (s *scope) declare(g *ast.GenDecl, f *ast.File) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if _, twice := s.types[spec.Name.Name]; !twice { // build tags may declare one twice
				s.types[spec.Name.Name] = declared{spec, f}
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				s.consts[name.Name] = s.consts[name.Name] || g.Tok == token.CONST
			}
		}
	}
}

// module is where the packages of this module live.
type module struct {
	path string // as in go.mod
	root string // folder of go.mod
}

// findModule looks for go.mod from dir upwards.
func findModule(dir string) (module, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return module{}, err
	}
	for {
		b, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			for line := range strings.Lines(string(b)) {
				if name, ok := strings.CutPrefix(line, "module "); ok {
					return module{strings.TrimSpace(name), root}, nil
				}
			}
			return module{}, fmt.Errorf("%s/go.mod names no module", root)
		}
		up := filepath.Dir(root)
		if !errors.Is(err, fs.ErrNotExist) || up == root {
			return module{}, fmt.Errorf("no go.mod above %s: %w", dir, err)
		}
		root = up
	}
}

// imported returns the package of this module that file knows as name; nil if
// there is none, as for a package of the standard library.
func (p *source) imported(file *ast.File, name string) (*scope, error) {
	for _, imp := range file.Imports {
		full, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return nil, err
		}
		if imp.Name != nil && imp.Name.Name != name || imp.Name == nil && path.Base(full) != name {
			continue
		}
		below, ours := strings.CutPrefix(full, p.module.path+"/")
		if !ours {
			return nil, nil
		}
		dir := filepath.Join(p.module.root, filepath.FromSlash(below))
		if p.others[dir] == nil {
			if p.others[dir], err = p.readScope(dir); err != nil {
				return nil, err
			}
		}
		return p.others[dir], nil
	}
	return nil, nil
}
