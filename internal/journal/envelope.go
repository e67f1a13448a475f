package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// Every stored value is an envelope:
//
//	1 B   format, 1
//	16 B  stamp: the id of the commit that wrote it (a chunk: its generation)
//	n B   payload
//	4 B   CRC-32C over the key's length (4 B, big-endian), the key, and all of
//	      the above
//
// The checksum binds the value to its key, so that a value that strays to
// another key is found like a flipped bit. The stamp tells, after an answer
// was lost, whose commit it was that the driver kept. All integers in
// envelopes are big-endian.
const (
	envelopeFormat   = 1
	stampAt          = 1
	payloadAt        = stampAt + 16
	envelopeOverhead = payloadAt + 4
)

// seal wraps payload for key.
func seal(key string, stamp id128, payload []byte) []byte {
	b := make([]byte, 0, envelopeOverhead+len(payload))
	b = append(b, envelopeFormat)
	b = append(b, stamp[:]...)
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, checksum(key, b))
}

// unseal returns the stamp and the payload of a value stored under key. The
// payload aliases value. Damage is reported as a problem, in words.
func unseal(key string, value []byte) (stamp id128, payload []byte, problem string) {
	if len(value) < envelopeOverhead {
		return stamp, nil, "the value is cut short"
	}
	body, sum := value[:len(value)-4], binary.BigEndian.Uint32(value[len(value)-4:])
	if checksum(key, body) != sum {
		return stamp, nil, "the checksum does not match"
	}
	if body[0] != envelopeFormat {
		return stamp, nil, "the value is of an unknown format"
	}
	copy(stamp[:], body[stampAt:])
	return stamp, body[payloadAt:], ""
}

func checksum(key string, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the library
	// Most keys fit, and then nothing is allocated.
	var room [96]byte
	head := binary.BigEndian.AppendUint32(room[:0], uint32(len(key)))
	head = append(head, key...)
	return crc32.Update(crc32.Update(0, table, head), table, body)
}
