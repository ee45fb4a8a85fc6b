package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is one file. Its first headerBlock bytes are the header, little-endian:
//
//	 0  magic    8 bytes
//	 8  version  u32
//	12  check    u32   CRC-32C over the 40 bytes with check = 0
//	16  id       u64   equal to the number in the file's name
//	24  salt     u64   random; part of every check value in the segment
//	32  size     u64   bytes of the file, header included
//
// Header and zeros are on the disk before the file gets its final name, so an
// unreadable header is always damage and never the trace of a crash. A segment
// recycled under a new name gets a new id and salt in the same way, and its old
// frames stop being valid with that.
const (
	headerMagic   = "MBPSEGMT"
	formatVersion = 1
	headerSize    = 40
	headerBlock   = 4096
	zeroChunk     = 1 << 20 // bytes zeroed per sync, so that appends beside it wait little
	segPrefix     = "seg-"
	segSuffix     = ".log"
	newSuffix     = ".new"
)

// segment is an immutable description; what it holds is in the index of Log.
type segment struct {
	id   uint64
	size int64 // bytes of the file
	base uint32
	name string // path
}

func segmentName(dir string, id uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%016x%s", segPrefix, id, segSuffix))
}

// parseName returns the id in a segment's file name.
func parseName(name string) (uint64, bool) {
	hex, ok := strings.CutPrefix(name, segPrefix)
	hex, ok2 := strings.CutSuffix(hex, segSuffix)
	if !ok || !ok2 || len(hex) != 16 || strings.ToLower(hex) != hex {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	return id, err == nil
}

func encodeHeader(id, salt uint64, size int64) []byte {
	b := make([]byte, headerBlock)
	copy(b, headerMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], salt)
	binary.LittleEndian.PutUint64(b[32:], uint64(size))
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:headerSize], crcTable))
	return b
}

// decodeHeader checks the header of the segment that is named after id.
func decodeHeader(b []byte, id uint64) (segment, error) {
	if len(b) < headerSize || string(b[:8]) != headerMagic {
		return segment{}, errors.New("no segment header")
	}
	var h [headerSize]byte
	copy(h[:], b)
	binary.LittleEndian.PutUint32(h[12:], 0)
	if crc32.Checksum(h[:], crcTable) != binary.LittleEndian.Uint32(b[12:]) {
		return segment{}, errors.New("check value of the header differs")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return segment{}, fmt.Errorf("format version %d, this program reads %d", v, formatVersion)
	}
	if got := binary.LittleEndian.Uint64(b[16:]); got != id {
		return segment{}, fmt.Errorf("header is of segment %d", got)
	}
	size := int64(binary.LittleEndian.Uint64(b[32:]))
	if size < headerBlock {
		return segment{}, fmt.Errorf("header states a size of %d", size)
	}
	return segment{id: id, size: size, base: saltCRC(id, binary.LittleEndian.Uint64(b[24:]))}, nil
}

// makeSegment writes header and zeros under a temporary name, syncs them, gives
// the file its name and syncs the folder. The file is a new one, or that of a spent
// segment of the same size, whose bytes are overwritten: check values have the salt
// of the segment, so that old frames do not pass even if a disk loses the zeros. A
// crash in between leaves a file that the next Open removes, or an unused segment.
func makeSegment(fs FS, dir, spent string, id, salt uint64, size int64) (segment, error) {
	name := segmentName(dir, id)
	f, err := beginSegment(fs, dir, spent, name+newSuffix)
	if err != nil {
		return segment{}, fmt.Errorf("make segment %d: %w", id, err)
	}
	if err = zeroFill(f, encodeHeader(id, salt, size), size); err != nil {
		// On a full disk the space goes back to the segment in use.
		return segment{}, errors.Join(fmt.Errorf("make segment %d: %w", id, err), f.Close(), fs.Remove(name+newSuffix))
	}
	if err = f.Close(); err != nil {
		return segment{}, fmt.Errorf("make segment %d: %w", id, err)
	}
	if err = fs.Rename(name+newSuffix, name); err != nil {
		return segment{}, fmt.Errorf("make segment %d: %w", id, err)
	}
	if err = fs.SyncDir(dir); err != nil {
		return segment{}, fmt.Errorf("make segment %d: sync folder: %w", id, err)
	}
	return segment{id: id, size: size, base: saltCRC(id, salt), name: name}, nil
}

// beginSegment opens a file for a segment under a temporary name. The old name of
// a spent one is gone from the disk before its first byte is overwritten: two names
// must never lead to the same bytes.
func beginSegment(fs FS, dir, spent, name string) (File, error) {
	if spent == "" {
		return fs.Create(name)
	}
	if err := fs.Rename(spent, name); err != nil {
		return nil, err
	}
	if err := fs.SyncDir(dir); err != nil {
		return nil, err
	}
	return fs.Open(name)
}

func zeroFill(f File, header []byte, size int64) error {
	if _, err := f.WriteAt(header, 0); err != nil {
		return err
	}
	zeros := make([]byte, min(zeroChunk, size))
	for off := int64(headerBlock); off < size; off += zeroChunk {
		if _, err := f.WriteAt(zeros[:min(zeroChunk, size-off)], off); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}
