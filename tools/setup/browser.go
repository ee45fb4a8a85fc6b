package main

import (
	"archive/tar"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// probe.mjs starts a browser the way the gate does, clicks a button and prints
// the browser's version.
//
//go:embed probe.mjs
var probeJS string

// unbrotli.mjs unpacks one Brotli file; Node has the decoder, Go has not.
//
//go:embed unbrotli.mjs
var unbrotliJS string

// probeTimeout bounds one start of a browser; a cold disk needs a few seconds.
const probeTimeout = 60 * time.Second

// maxUnpacked bounds one file of the browser's archives (the largest has
// 1 MB to 20 MB), so that a damaged archive cannot fill the disk.
const maxUnpacked = 1 << 30

// browser is the Chromium that .tools/bin/chromium runs.
type browser struct {
	Path     string `json:"path,omitempty"`
	Version  string `json:"version,omitempty"`
	SHA256   string `json:"sha256,omitempty"` // of the file at Path, which may be a launcher script
	ModTime  int64  `json:"mod_time,omitempty"`
	Unusable string `json:"unusable,omitempty"` // why there is none
}

func (h *house) browserFile() string { return filepath.Join(h.root, ".tools", "browser.json") }

// readBrowser returns the browser that was found to work, or why there is none.
func (h *house) readBrowser() (browser, error) {
	var b browser
	raw, err := os.ReadFile(h.browserFile())
	if err != nil {
		return b, errors.New("no browser was looked for yet (make tools)")
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, fmt.Errorf("read %s: %w", h.browserFile(), err)
	}
	if b.Unusable != "" {
		return b, errors.New(b.Unusable)
	}
	return b, nil
}

// browser links a Chromium that starts: the one CHROME_BIN names, else one on
// PATH, else the one inside @sparticuz/chromium. Having none is not an error
// of the set-up: the browser stage of the gate reports NOT_RUN and says why.
func (h *house) browser(ctx context.Context, p *progress) error {
	var faults []string
	for _, path := range h.candidates() {
		b, err := h.try(ctx, path, p)
		if err == nil {
			return h.useBrowser(b)
		}
		faults = append(faults, fmt.Sprintf("%s does not start: %v", path, err))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if os.Getenv("CHROME_BIN") == "" {
		path, err := h.shippedBrowser(ctx, p)
		if err == nil {
			var b browser
			if b, err = h.try(ctx, path, p); err == nil {
				return h.useBrowser(b)
			}
		}
		faults = append(faults, fmt.Sprintf("@sparticuz/chromium: %v", err))
	}
	why := strings.Join(faults, "; ")
	p.say("chromium", "NONE WORKS: %s", why)
	p.say("chromium", "set CHROME_BIN or install chromium; until then the browser stage of the gate is NOT_RUN")
	if err := os.Remove(filepath.Join(h.root, ".tools", "bin", "chromium")); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("unlink chromium: %w", err)
	}
	return h.saveBrowser(browser{Unusable: why})
}

// candidates are the browsers of this machine in the order everything else in
// the repository looks for them. CHROME_BIN, when set, is the only one.
func (h *house) candidates() []string {
	if path := os.Getenv("CHROME_BIN"); path != "" {
		return []string{path}
	}
	var out []string
	for _, name := range []string{"chromium", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err == nil && !strings.HasPrefix(path, filepath.Join(h.root, ".tools")+string(filepath.Separator)) {
			out = append(out, path)
		}
	}
	return out
}

// try starts the browser at path, unless it is the very file that worked last
// time.
func (h *house) try(ctx context.Context, path string, p *progress) (browser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return browser{}, fmt.Errorf("find the browser: %w", err)
	}
	if b, err := h.readBrowser(); err == nil && b.Path == path && b.ModTime == info.ModTime().UnixNano() {
		return b, nil
	}
	p.say("chromium", "trying %s …", path)
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := command(ctx, "node", "--input-type=module", "-e", probeJS, path)
	cmd.Dir = h.root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return browser{}, fmt.Errorf("%w: %s", err, cause(stderr.String()))
	}
	sum, err := fileSHA256(path)
	if err != nil {
		return browser{}, fmt.Errorf("hash the browser: %w", err)
	}
	b := browser{Path: path, Version: strings.TrimSpace(string(out)), SHA256: sum, ModTime: info.ModTime().UnixNano()}
	p.say("chromium", "%s works (%s)", path, b.Version)
	return b, nil
}

// cause picks the line of Node's stderr that names the error.
func cause(stderr string) string {
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "Error: ") || strings.Contains(line, "browserType.launch") {
			return strings.TrimSpace(line)
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	return first
}

func (h *house) useBrowser(b browser) error {
	if err := symlink(b.Path, filepath.Join(h.root, ".tools", "bin", "chromium")); err != nil {
		return err
	}
	return h.saveBrowser(b)
}

func (h *house) saveBrowser(b browser) error {
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("encode browser: %w", err)
	}
	return writeAtomic(h.browserFile(), append(raw, '\n'))
}

// shippedBrowser unpacks the browser of @sparticuz/chromium into the cache and
// returns the launcher that gives it its libraries and fonts.
func (h *house) shippedBrowser(ctx context.Context, p *progress) (string, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("ships no browser for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	g := nodeGroup()
	g.name, g.recipe, g.build, g.links = "chromium", "unbrotli, launcher 1", unpackBrowser, nil
	if _, err := h.ensure(ctx, g, p); err != nil {
		return "", err
	}
	dir, err := h.dir(g)
	return filepath.Join(dir, "chromium.sh"), err
}

func unpackBrowser(ctx context.Context, h *house, dir string, s *sink) error {
	src := filepath.Join(h.root, "node_modules", "@sparticuz", "chromium", "bin")
	unbrotli := func(name, to string) error {
		return s.exec(ctx, h.root, nil, "node", "--input-type=module", "-e", unbrotliJS, filepath.Join(src, name), to)
	}
	if err := unbrotli("chromium.br", filepath.Join(dir, "chromium")); err != nil {
		return err
	}
	// al2023 holds the shared libraries, swiftshader the software renderer
	// that is looked for beside the browser, fonts one font family.
	for _, name := range []string{"al2023", "swiftshader", "fonts"} {
		tarball := filepath.Join(dir, name+".tar")
		if err := unbrotli(name+".tar.br", tarball); err != nil {
			return err
		}
		if err := untar(tarball, dir); err != nil {
			return err
		}
		if err := os.Remove(tarball); err != nil {
			return fmt.Errorf("unpack browser: %w", err)
		}
	}
	fonts := fmt.Sprintf("<?xml version=\"1.0\"?>\n<fontconfig><dir>%s/fonts</dir><cachedir>%s/font-cache</cachedir></fontconfig>\n", dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "fonts.conf"), []byte(fonts), 0o600); err != nil {
		return fmt.Errorf("unpack browser: %w", err)
	}
	launcher := fmt.Sprintf("#!/bin/sh\nd=%q\nexport LD_LIBRARY_PATH=\"$d/lib\" FONTCONFIG_FILE=\"$d/fonts.conf\"\nexec \"$d/chromium\" \"$@\"\n", dir)
	if err := os.WriteFile(filepath.Join(dir, "chromium.sh"), []byte(launcher), 0o700); err != nil {
		return fmt.Errorf("unpack browser: %w", err)
	}
	return nil
}

// untar unpacks regular files and folders below dir and refuses all else.
func untar(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("untar: %w", err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir) // nothing in the archive can name a place outside it
	if err != nil {
		return fmt.Errorf("untar: %w", err)
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = unpackEntry(r, e, root)
		}
		if err != nil {
			return fmt.Errorf("untar %s: %w", path, err)
		}
	}
}

func unpackEntry(r io.Reader, e *tar.Header, root *os.Root) error {
	name := filepath.Clean(e.Name)
	switch e.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o750)
	case tar.TypeReg:
		if e.Size > maxUnpacked {
			return fmt.Errorf("%q has %d bytes, the bound is %d", e.Name, e.Size, int64(maxUnpacked))
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(e.Mode&0o755))
		if err != nil {
			return err
		}
		if _, err := io.CopyN(f, r, e.Size); err != nil {
			return errors.Join(err, f.Close())
		}
		return f.Close()
	default:
		return fmt.Errorf("%q is neither a file nor a folder", e.Name)
	}
}
