package cfworker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame on the pipe, in either direction:
//
//	4 bytes  length of what follows, little endian
//	1 byte   kind
//	n bytes  payload, see codec.go
//
// Both ends are the same program, so there are no versions.
type frameKind byte

const (
	// From the parent.
	frameSetup   frameKind = 's' // limits, once; answered by ready
	frameCall    frameKind = 'c' // run a program; answered by result, before it any number of the requests below
	frameProgram frameKind = 'p' // answers needProgram
	frameValue   frameKind = 'v' // answers get
	frameRenew   frameKind = 'z' // your thread is worn, take another one; answered by ready

	// From the worker.
	frameReady       frameKind = 'r' // for calls, on which thread
	frameNeedProgram frameKind = 'P'
	frameGet         frameKind = 'g'
	frameResult      frameKind = 'R'
	frameDefect      frameKind = 'd' // in place of result: the runtime failed, not the function
)

const (
	frameHeader = 5
	// maxFrame bounds a frame. The largest has the value of a key, a text that a
	// function made as an error message, or the code of a function.
	maxFrame = 64 << 20
	// keptBuffer is the largest buffer that is kept for small frames.
	keptBuffer = 1 << 20
	// maxKey is the longest key that a worker asks for. No store holds a longer one.
	maxKey = 1 << 20
)

var errFrame = errors.New("malformed frame")

// A frameReader reads frames. The payload is good until the next read.
type frameReader struct {
	r   *bufio.Reader
	buf []byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// read returns the next frame; [io.EOF] only between two frames.
func (f *frameReader) read() (frameKind, []byte, error) {
	header, err := f.r.Peek(frameHeader)
	if err != nil {
		if len(header) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	n := int(binary.LittleEndian.Uint32(header))
	kind := frameKind(header[4])
	if n < 1 || n > maxFrame {
		return 0, nil, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	f.r.Discard(frameHeader)
	n--
	if n > cap(f.buf) || cap(f.buf) > keptBuffer && n <= keptBuffer {
		f.buf = make([]byte, n, max(n, 4<<10))
	}
	f.buf = f.buf[:n]
	if _, err := io.ReadFull(f.r, f.buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return kind, f.buf, nil
}

// beginFrame starts a frame in b, which is overwritten.
func beginFrame(b []byte, kind frameKind) []byte {
	return append(b[:0], 0, 0, 0, 0, byte(kind))
}

// writeFrame completes a frame and writes it in one piece.
func writeFrame(w io.Writer, b []byte) error {
	if len(b)-4 > maxFrame {
		return fmt.Errorf("%w: %d bytes", errFrame, len(b))
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	_, err := w.Write(b)
	return err
}
