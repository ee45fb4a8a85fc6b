package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Lengths of the zip's records without names.
const (
	localLen   = 30
	centralLen = 46
	endLen     = 22
)

// readDirectory reads the central directory of a pack. It is stricter than a
// zip reader, which looks for the end record, skips what it does not know and
// takes doubled names: entries have to be sorted, lie one after the other from
// byte 0 to the directory, and have names that no unpacker confuses. What it
// does not look at (dates, versions, local headers) is compared byte by byte
// later, by packing anew.
func readDirectory(in io.ReaderAt, size int64) (*directory, error) {
	if size < endLen || size > maxPack {
		return nil, fmt.Errorf("%d bytes are no pack", size)
	}
	end := make([]byte, endLen)
	if _, err := in.ReadAt(end, size-endLen); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	le := binary.LittleEndian
	count, length, at := int(le.Uint16(end[10:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	if le.Uint32(end) != 0x06054b50 || le.Uint16(end[8:]) != le.Uint16(end[10:]) || at+length != size-endLen {
		return nil, errors.New("the end of the central directory is damaged, or something follows it")
	}
	if count > maxFiles || length > int64(count)*(centralLen+int64(len(Prefix))+maxName) {
		return nil, fmt.Errorf("a directory of %d files in %d bytes", count, length)
	}
	raw := make([]byte, length)
	if _, err := in.ReadAt(raw, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	d := &directory{at: at}
	known := newNames()
	var next int64
	for len(raw) > 0 {
		e, rest, err := readEntry(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the central directory: %w", len(d.entries), err)
		}
		if err := known.add(e.Path); err != nil {
			return nil, err
		}
		if last := len(d.entries) - 1; last >= 0 && d.entries[last].Path >= e.Path {
			return nil, fmt.Errorf("%s%s is doubled or out of order", Prefix, e.Path)
		}
		if e.at != next || e.end() > at {
			return nil, fmt.Errorf("%s%s does not follow the file before it", Prefix, e.Path)
		}
		next, raw = e.end(), rest
		d.entries = append(d.entries, e)
	}
	if len(d.entries) != count || next != at {
		return nil, fmt.Errorf("%d files end at byte %d; the directory says %d, and %d", len(d.entries), next, count, at)
	}
	return d, nil
}

// readEntry takes one file off the central directory.
func readEntry(b []byte) (entry, []byte, error) {
	le := binary.LittleEndian
	if len(b) < centralLen || le.Uint32(b) != 0x02014b50 {
		return entry{}, nil, errors.New("damaged")
	}
	n := int(le.Uint16(b[28:]))
	if len(b) < centralLen+n || le.Uint16(b[30:]) != 0 || le.Uint16(b[32:]) != 0 {
		return entry{}, nil, errors.New("it has an extra field or a comment, or is cut off")
	}
	name, inside := strings.CutPrefix(string(b[centralLen:centralLen+n]), Prefix)
	if !inside {
		return entry{}, nil, fmt.Errorf("%q is not below %s", b[centralLen:centralLen+n], Prefix)
	}
	e := entry{File: File{Path: name, Size: int64(le.Uint32(b[24:])), crc: le.Uint32(b[16:])}, at: int64(le.Uint32(b[42:]))}
	if le.Uint16(b[10:]) != 0 || le.Uint32(b[20:]) != le.Uint32(b[24:]) {
		return entry{}, nil, fmt.Errorf("%s%s is compressed", Prefix, name)
	}
	return e, b[centralLen+n:], nil
}
