package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/gate"
)

// TestEveryByteCounts flips a bit of every byte of a pack. Each flip is refused;
// one in a file's header or content names the file. Nothing beside the pack
// helps, and nothing is judged anew.
func TestEveryByteCounts(t *testing.T) {
	dir := goodRun(t)
	for _, folder := range []string{"prom", "steps", "security", "k6", "dbt"} { // a small pack: every byte is a whole check
		if err := os.RemoveAll(dir + "/" + folder); err != nil {
			t.Fatal(err)
		}
	}
	rejudge(t, dir)
	p := packed(t, dir, t.TempDir())
	b := read(t, p.Path)
	d, err := readDirectory(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 97
	}
	in := 0
	for i := 0; i < len(b); i += step {
		for in < len(d.entries) && int64(i) >= d.entries[in].end() {
			in++
		}
		flip := byte(1) << (i % 8)
		b[i] ^= flip
		_, err := verifyPack(t.Context(), bytes.NewReader(b), int64(len(b)), Options{SkipReevaluation: true})
		b[i] ^= flip
		switch {
		case err == nil:
			t.Fatalf("byte %d of %d flipped by %#x passes", i, len(b), flip)
		case in < len(d.entries) && !strings.Contains(err.Error(), Prefix+d.entries[in].Path):
			t.Fatalf("byte %d lies in %s, the error says: %v", i, d.entries[in].Path, err)
		}
	}
	if _, err := verifyPack(t.Context(), bytes.NewReader(b), int64(len(b)), Options{}); err != nil {
		t.Fatalf("after all flips were undone: %v", err)
	}
}

// TestLengthCounts: nothing may be cut off, put in front, between or behind.
func TestLengthCounts(t *testing.T) {
	p := packed(t, goodRun(t), t.TempDir())
	b := read(t, p.Path)
	for n := range 600 {
		for _, bad := range [][]byte{b[:len(b)-1-n], b[1+n:], append(make([]byte, n+1), b...), append(bytes.Clone(b), make([]byte, n+1)...)} {
			if _, err := verifyPack(t.Context(), bytes.NewReader(bad), int64(len(bad)), Options{SkipReevaluation: true}); err == nil {
				t.Fatalf("a pack of %d bytes instead of %d passes", len(bad), len(b))
			}
		}
	}
}

// forge makes a zip of any entries, as a packer without scruples would.
type forgery struct{ name, content string }

func forge(t *testing.T, entries []forgery, change func(i int, h *zip.FileHeader)) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, e := range entries {
		f := File{Path: strings.TrimPrefix(e.name, Prefix), Size: int64(len(e.content)), crc: crcOf(e.content)}
		h := header(f)
		h.Name = e.name
		if change != nil {
			change(i, h)
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, e.content)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents reads a good pack's entries, to forge from.
func contents(t *testing.T, pack []byte) (entries []forgery) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, forgery{f.Name, string(b)})
	}
	return entries
}

// TestForgeries: packs whose checksums are right and whose content is not.
func TestForgeries(t *testing.T) {
	good := read(t, packed(t, goodRun(t), t.TempDir()).Path)
	find := func(entries []forgery, path string) *forgery {
		for i := range entries {
			if entries[i].name == Prefix+path {
				return &entries[i]
			}
		}
		t.Fatalf("no %s", path)
		return nil
	}
	for _, c := range []struct {
		name   string
		bend   func(e []forgery) []forgery
		change func(i int, h *zip.FileHeader)
		want   string
	}{
		{"another content", func(e []forgery) []forgery { find(e, "security/gitleaks.json").content += " "; return e }, nil, "EVI/security/gitleaks.json: its SHA-256"},
		{"a file less", func(e []forgery) []forgery { return e[:len(e)-1] }, nil, "EVI/verdict.json is in the manifest and not in the pack"},
		{"a file more", func(e []forgery) []forgery { return append(e, forgery{"EVI/zzz", ""}) }, nil, "EVI/zzz is in the pack and not in the manifest"},
		{"no manifest", func(e []forgery) []forgery { find(e, ManifestFile).name = "EVI/manifest.jsom"; return e }, nil, "no EVI/manifest.json"},
		{"a manifest with more to say", func(e []forgery) []forgery {
			m := find(e, ManifestFile)
			m.content = strings.Replace(m.content, "{", `{"approved":true,`, 1)
			return e
		}, nil, "unknown field"},
		{"a manifest in another form", func(e []forgery) []forgery { find(e, ManifestFile).content += "\n"; return e }, nil, "canonical form"},
		{"another format", func(e []forgery) []forgery {
			m := find(e, ManifestFile)
			m.content = strings.Replace(m.content, Format, "prega-evidence/2", 1)
			return e
		}, nil, "the format is"},
		{"doubled", func(e []forgery) []forgery { return append(e, e[len(e)-1]) }, nil, "one name"},
		{"out of order", func(e []forgery) []forgery { e[0], e[1] = e[1], e[0]; return e }, nil, "out of order"},
		{"outside of the folder", func(e []forgery) []forgery { return append(e, forgery{"evil", ""}) }, nil, "not below"},
		{"climbing out", func(e []forgery) []forgery { return append(e, forgery{"EVI/../../evil", ""}) }, nil, "not a path"},
		{"absolute", func(e []forgery) []forgery { return append(e, forgery{"/evil", ""}) }, nil, "not below"},
		{"a folder entry", func(e []forgery) []forgery { return append(e, forgery{"EVI/zzz/", ""}) }, nil, "not a path"},
		{"not ASCII", func(e []forgery) []forgery { return append(e, forgery{"EVI/zü", ""}) }, nil, "not plain"},
		{"a name in another case", func(e []forgery) []forgery { return append(e, forgery{"EVI/VERDICT.json", ""}) }, nil, "case does not count"},
		{"a folder in another case", func(e []forgery) []forgery {
			return append(e, forgery{"EVI/zZ/a", ""}, forgery{"EVI/zz/b", ""})
		}, nil, "case does not count"},
		{"a file that is a folder", func(e []forgery) []forgery { return append(e, forgery{"EVI/verdict.json/x", ""}) }, nil, "a folder"},
		{"a version", nil, func(i int, h *zip.FileHeader) { h.ReaderVersion++ }, "its header is not as"},
		{"an extra field", nil, func(i int, h *zip.FileHeader) { h.Extra = []byte{1, 0, 0, 0} }, "extra field"},
		{"a comment", nil, func(i int, h *zip.FileHeader) { h.Comment = "x" }, "comment"},
		{"rights", nil, func(i int, h *zip.FileHeader) { h.ExternalAttrs = 1 }, "central directory is not as"},
		{"compression", nil, func(i int, h *zip.FileHeader) { h.Method = zip.Deflate }, "compressed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries := contents(t, good)
			if c.bend != nil {
				entries = c.bend(entries)
			}
			bad := forge(t, entries, c.change)
			_, err := verifyPack(t.Context(), bytes.NewReader(bad), int64(len(bad)), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if again := forge(t, contents(t, good), nil); !bytes.Equal(again, good) {
		t.Error("the forger cannot even make the good pack: the cases above prove little")
	}
}

// TestReevaluation: a whole pack, sealed again by somebody who wants another
// verdict, is refused by judging anew.
func TestReevaluation(t *testing.T) {
	for name, bend := range map[string]func(dir string){
		"verdict.json": func(dir string) {
			v := string(read(t, dir+"/"+gate.VerdictFile))
			put(t, dir, gate.VerdictFile, strings.Replace(v, "SMOKE PASS", "APPROVED", 1))
		},
		"report.txt": func(dir string) {
			r := string(read(t, dir+"/"+gate.ReportFile))
			put(t, dir, gate.ReportFile, strings.Replace(r, "799.9", "12.3", 1))
		},
		"verdict.json is not":        func(dir string) { put(t, dir, "security/gitleaks.json", `{"findings":3,"history":{"commits":9}}`) },
		"manifest.json does not say": func(string) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := goodRun(t)
			m, _, err := describeFor(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			bend(dir)
			if m.Files, err = collect(t.Context(), os.DirFS(dir), new(secrets)); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "manifest") {
				m.Decision = gate.Approved
			}
			bad := sealAndZip(t, dir, m)
			if _, err := verifyPack(t.Context(), bytes.NewReader(bad), int64(len(bad)), Options{SkipReevaluation: true}); err != nil {
				t.Fatalf("the seal itself is good: %v", err)
			}
			_, err = verifyPack(t.Context(), bytes.NewReader(bad), int64(len(bad)), Options{})
			if err == nil || !strings.Contains(err.Error(), "re-evaluate") || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want a word of %q", err, name)
			}
		})
	}
}

func describeFor(t *testing.T, dir string) (Manifest, []File, error) {
	t.Helper()
	files, err := collect(t.Context(), os.DirFS(dir), new(secrets))
	if err != nil {
		return Manifest{}, nil, err
	}
	m, _, err := describe(os.DirFS(dir), files)
	return m, files, err
}

func sealAndZip(t *testing.T, dir string, m Manifest) []byte {
	t.Helper()
	manifest, all, err := m.seal()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = writeZip(&b, all, func(f File) (io.ReadCloser, error) {
		if f.Path == ManifestFile {
			return io.NopCloser(bytes.NewReader(manifest)), nil
		}
		return os.Open(dir + "/" + f.Path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRootBindsPathAndSize: moving bytes between files or renaming one changes
// the root, and so does a file more.
func TestRootBindsPathAndSize(t *testing.T) {
	base := []File{{Path: "a", Size: 1, SHA256: "00"}, {Path: "b", Size: 2, SHA256: "11"}, {Path: "c", Size: 3, SHA256: "22"}}
	seen := map[string]string{}
	for name, files := range map[string][]File{
		"base":    base,
		"renamed": {{Path: "a", Size: 1, SHA256: "00"}, {Path: "x", Size: 2, SHA256: "11"}, base[2]},
		"resized": {base[0], {Path: "b", Size: 9, SHA256: "11"}, base[2]},
		"changed": {base[0], {Path: "b", Size: 2, SHA256: "12"}, base[2]},
		"shorter": base[:2],
		"swapped": {base[1], base[0], base[2]},
		"doubled": {base[0], base[1], base[2], base[2]},
	} {
		h, err := root(files)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[h.String()]; taken {
			t.Errorf("%s and %s have one root", name, other)
		}
		seen[h.String()] = name
	}
}

// FuzzVerify: whatever bytes are handed in, what passes is byte for byte what
// the packer writes for the files in it.
func FuzzVerify(f *testing.F) {
	good, err := os.ReadFile(packed(f, goodRun(f), f.TempDir()).Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	var tiny bytes.Buffer
	m, err := json.Marshal(Manifest{Format: Format})
	if err != nil {
		f.Fatal(err)
	}
	one := File{Path: ManifestFile, Size: int64(len(m)), crc: crcOf(string(m))}
	one.SHA256 = fmt.Sprintf("%x", sha(m))
	if err := writeZip(&tiny, []File{one}, func(File) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }); err != nil {
		f.Fatal(err)
	}
	f.Add(tiny.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		if _, err := verifyPack(t.Context(), in, int64(len(b)), Options{SkipReevaluation: true}); err != nil {
			return
		}
		d, err := readDirectory(in, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		z := zip.NewWriter(&again)
		for _, e := range d.entries {
			w, err := z.CreateRaw(header(e.File))
			if err != nil {
				t.Fatal(err)
			}
			w.Write(b[e.data():e.end()])
		}
		if err := z.Close(); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Errorf("passes, and is not what the packer writes (%v)", err)
		}
	})
}
