package s3import

import (
	"bytes"
	"errors"
	"io"
)

// An input counts what is read, refuses more than its limit, and remembers the
// first error that is not the end of the document.
type input struct {
	r     io.Reader
	limit int64
	read  int64
	err   error

	progress func(read int64) // nil: nobody wants to know
}

// Read implements [io.Reader].
func (in *input) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.r.Read(p)
	in.read += int64(n)
	if in.read > in.limit {
		in.err = fail(TooLarge, -1, nil)
		return 0, in.err
	}
	if in.progress != nil {
		in.progress(in.read)
	}
	if err != nil && err != io.EOF {
		in.err = fail(Unreadable, in.read, err)
		return n, in.err
	}
	return n, err
}

// byteOrderMark is how some editors begin a file in UTF-8.
const byteOrderMark = "\uFEFF"

// A skipBOM leaves out the UTF-8 byte order mark at the start of r, if it is
// there. The other encodings' marks are no JSON and fail as such.
type skipBOM struct {
	r     io.Reader
	begun bool
	head  []byte // read while looking for the mark, still to be handed on
	err   error  // what followed head
}

// Read implements [io.Reader].
func (s *skipBOM) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.look()
	}
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.r.Read(p)
}

func (s *skipBOM) look() {
	mark := []byte(byteOrderMark)
	head := make([]byte, len(mark))
	n, err := io.ReadFull(s.r, head)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	s.head, s.err = head[:n], err
	if bytes.Equal(s.head, mark) {
		s.head = nil
	}
}
