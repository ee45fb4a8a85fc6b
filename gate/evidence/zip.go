package evidence

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// dosEpoch is 1980-01-01 as DOS spells it, the first date it can.
const dosEpoch = 0x21

// zipVersion is PKZIP 2.0, made on DOS: no rights, no owners.
const zipVersion = 20

// header is the only header that a file of a pack has.
func header(f File) *zip.FileHeader {
	size := uint64(f.Size)
	return &zip.FileHeader{Name: Prefix + f.Path, CreatorVersion: zipVersion, ReaderVersion: zipVersion, Method: zip.Store,
		ModifiedDate: dosEpoch, //nolint:staticcheck // CreateRaw writes this field, and Modified would add an extra one
		CRC32:        f.crc, CompressedSize64: size, UncompressedSize64: size}
}

// writeZip writes the files, sorted bytewise, and checks while it copies that
// they still are what was hashed.
func writeZip(w io.Writer, files []File, open func(File) (io.ReadCloser, error)) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	buffered := bufio.NewWriterSize(w, 1<<20)
	z := zip.NewWriter(buffered)
	for _, f := range files {
		to, err := z.CreateRaw(header(f))
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		from, err := open(f)
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, f.Size+1))
		from.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
			return fmt.Errorf("%s changed while it was packed", f.Path)
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}
