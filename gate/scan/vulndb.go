package scan

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// LiveDatabase is what govulncheck asks if it is given nothing else.
	LiveDatabase = "https://vuln.go.dev"
	// minEntries is the fewest entries that make a Go vulnerability database.
	// It held 4,291 in August 2026; an empty one would call anything clean.
	minEntries = 1000
	// maxDatabase and maxDatabaseFiles bound what an archive may unpack to.
	maxDatabase      = 256 << 20
	maxDatabaseFiles = 100_000
	// liveTimeout bounds each question to the live database.
	liveTimeout = 20 * time.Second
)

// Database is security/govulncheck.db.json: which vulnerabilities the scan
// could know about.
type Database struct {
	Kind     string    `json:"kind"`     // folder, archive or live
	Name     string    `json:"name"`     // of the archive or folder, or the URL
	SHA256   string    `json:"sha256"`   // of the archive, else of index/vulns.json
	Modified time.Time `json:"modified"` // as the index states it
	AgeDays  float64   `json:"age_days"` // at the start of the run
	Entries  int       `json:"entries"`
	Modules  int       `json:"modules"`
	url      string    // what govulncheck is told
}

// FindDatabase opens the database at path: a folder in govulncheck's layout, a
// tar.gz of one, or a folder that holds such archives, of which the last by
// name is taken. An empty path, or required = false and nothing there, means
// the live database.
func (s Scanner) FindDatabase(ctx context.Context, path string, required bool, now time.Time) (Database, error) {
	info, err := os.Stat(path)
	switch {
	case path != "" && err == nil && info.IsDir():
		if _, err := os.Stat(filepath.Join(path, "index", "db.json")); err == nil {
			return readDatabase(Database{Kind: "folder", Name: filepath.Base(path)}, path, now)
		}
		archives, _ := filepath.Glob(filepath.Join(path, "*.tar.gz"))
		if len(archives) == 0 {
			return Database{}, unavailable("%s holds neither index/db.json nor a tar.gz of a vulnerability database", filepath.Base(path))
		}
		slices.Sort(archives)
		return s.openArchive(archives[len(archives)-1], now)
	case path != "" && err == nil:
		return s.openArchive(path, now)
	case required:
		return Database{}, unavailable("the vulnerability database that was named is not there: %v", errors.Unwrap(err))
	}
	return liveDatabase(ctx, now)
}

// openArchive unpacks a tar.gz into Work.
func (s Scanner) openArchive(path string, now time.Time) (Database, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Database{}, unavailable("read vulnerability database: %v", err)
	}
	sum := sha256.Sum256(raw)
	db := Database{Kind: "archive", Name: filepath.Base(path), SHA256: hex.EncodeToString(sum[:])}
	dir, err := s.folder("vulndb")
	if err != nil {
		return db, err
	}
	if err := unpack(path, dir); err != nil {
		return db, fmt.Errorf("unpack %s: %w", db.Name, err)
	}
	found := ""
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(filepath.ToSlash(p), "/index/db.json") {
			found = filepath.Dir(filepath.Dir(p))
			return fs.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = errors.New("it holds no index/db.json")
	}
	if err != nil {
		return db, fmt.Errorf("vulnerability database %s: %w", db.Name, err)
	}
	return readDatabase(db, found, now)
}

// unpack writes the regular files of a tar.gz below dir. Names that leave it
// are refused by the root; links and devices are refused by kind.
func unpack(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files, left := 0, int64(maxDatabase)
	for t := tar.NewReader(z); ; files++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		left -= h.Size
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || left < 0 || files > maxDatabaseFiles {
			return fmt.Errorf("refused at %q: not a plain file inside the archive, or too much", h.Name)
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(t, h.Size))
		if err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, b, 0o600); err != nil {
			return err
		}
	}
}

func readDatabase(db Database, dir string, now time.Time) (Database, error) {
	var raws [3][]byte
	for i, name := range indexFiles {
		b, err := os.ReadFile(filepath.Join(dir, "index", name))
		if err != nil {
			return db, fmt.Errorf("vulnerability database %s: %w", db.Name, err)
		}
		raws[i] = b
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return db, fmt.Errorf("vulnerability database %s: %w", db.Name, err)
	}
	db.url = "file://" + filepath.ToSlash(abs)
	db, err = db.count(raws, now)
	if err != nil {
		return db, err
	}
	// The index is a claim; the entries are what govulncheck reads.
	entries, err := filepath.Glob(filepath.Join(dir, "ID", "*.json"))
	if err != nil || len(entries) != db.Entries {
		return db, fmt.Errorf("vulnerability database %s: the index lists %d entries, ID/ holds %d", db.Name, db.Entries, len(entries))
	}
	return db, nil
}

var indexFiles = []string{"db.json", "modules.json", "vulns.json"}

// count reads the three index files.
func (db Database) count(raws [3][]byte, now time.Time) (Database, error) {
	var head struct{ Modified time.Time }
	var modules, entries []json.RawMessage
	for i, into := range []any{&head, &modules, &entries} {
		if err := json.Unmarshal(raws[i], into); err != nil {
			return db, fmt.Errorf("vulnerability database %s: index/%s: %w", db.Name, indexFiles[i], err)
		}
	}
	if db.SHA256 == "" {
		sum := sha256.Sum256(raws[2])
		db.SHA256 = hex.EncodeToString(sum[:])
	}
	db.Modified, db.Entries, db.Modules = head.Modified, len(entries), len(modules)
	db.AgeDays = float64(now.Sub(head.Modified).Milliseconds()) / float64((24 * time.Hour).Milliseconds())
	if db.Entries < minEntries || db.Modified.Year() < 2020 {
		return db, fmt.Errorf("vulnerability database %s has %d entries as of %s; at least %d with a date are needed to trust a clean answer",
			db.Name, db.Entries, db.Modified.Format(time.DateOnly), minEntries)
	}
	return db, nil
}

// liveDatabase asks the public database for its index.
func liveDatabase(ctx context.Context, now time.Time) (Database, error) {
	db := Database{Kind: "live", Name: LiveDatabase, url: LiveDatabase}
	var raws [3][]byte
	for i, name := range indexFiles {
		b, err := get(ctx, LiveDatabase+"/index/"+name)
		if err != nil {
			return db, unavailable("no vulnerability database: none is installed and %s does not answer (%v); set MBP_VULNDB to a folder or tar.gz", LiveDatabase, err)
		}
		raws[i] = b
	}
	return db.count(raws, now)
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxReport))
}
