package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"

	"github.com/mbp-market/mbp/engine/journal"
)

// A log that has released segments says so in the file FIRST, little-endian:
//
//	 0  magic    8 bytes
//	 8  version  u32
//	12  check    u32   CRC-32C over the 32 bytes with check = 0
//	16  id       u64   of the first segment that belongs to the log
//	24  seq      u64   of the first record in it
//
// It is what tells a segment that was released from one that is lost: segments
// with lower numbers are spent, those from id on must all be there. It is written
// under a temporary name, synced, renamed, and the folder synced, before a
// segment below it is touched. A crash before that leaves the old origin, and
// every segment of it; one after it leaves segments that are only spent.
const (
	originName  = "FIRST"
	originMagic = "MBPFIRST"
	originSize  = 32
)

// origin is where a log begins.
type origin struct {
	id  uint64 // first segment of the log
	seq uint64 // first record in it
}

// start is the origin of a log that has released nothing.
var start = origin{id: 1, seq: 1}

func (o origin) encode() []byte {
	b := make([]byte, originSize)
	copy(b, originMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], o.id)
	binary.LittleEndian.PutUint64(b[24:], o.seq)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b, crcTable))
	return b
}

func decodeOrigin(b []byte) (origin, error) {
	if len(b) != originSize || string(b[:8]) != originMagic {
		return origin{}, errors.New("this is not where a log begins")
	}
	o := origin{id: binary.LittleEndian.Uint64(b[16:]), seq: binary.LittleEndian.Uint64(b[24:])}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return origin{}, fmt.Errorf("format version %d, this program reads %d", v, formatVersion)
	}
	if string(o.encode()) != string(b) {
		return origin{}, errors.New("check value of the origin differs")
	}
	if o.id <= start.id || o.seq <= start.seq {
		return origin{}, fmt.Errorf("a log that has released something cannot begin at segment %d, sequence %d", o.id, o.seq)
	}
	return o, nil
}

// readOrigin returns where the log in a folder of these names begins.
func readOrigin(fs FS, dir string, names []string) (o origin, err error) {
	if !slices.Contains(names, originName) {
		return start, nil
	}
	name := filepath.Join(dir, originName)
	f, err := fs.Open(name)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, originSize+1) // one more, to see a file that is too long
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return o, err
	}
	o, err = decodeOrigin(b[:n])
	if err != nil {
		return o, &journal.CorruptError{Place: name, Reason: err.Error()}
	}
	return o, nil
}

// write makes the origin durable.
func (o origin) write(fs FS, dir string) error {
	name := filepath.Join(dir, originName)
	f, err := fs.Create(name + newSuffix)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(o.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}
