package evidence

import (
	"crypto/sha256"
	"hash/crc32"
)

func crcOf(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

func sha(b []byte) [32]byte { return sha256.Sum256(b) }
