package cfworker

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A codec writes values to a payload or reads them from one. A type is
// described once, by a function that calls the codec's methods for each of its
// fields; which way they go depends on the codec. What is written is not
// touched, and what is read into must be zero. Numbers are varints, texts have
// their length in front, optional values a flag, repeated ones a flag and a
// count.
type codec struct {
	out     []byte // grows while encoding
	in      string // shrinks while decoding
	reading bool
	bad     bool // the input is not what the description asks for
}

func encoder(to []byte) *codec { return &codec{out: to} }

// decoder reads from a copy of b; texts are parts of that copy.
func decoder(b []byte) *codec { return &codec{in: string(b), reading: true} }

// finish reports whether the input was read to its end without a fault.
func (c *codec) finish() error {
	if c.bad || c.in != "" {
		return fmt.Errorf("%w: not what was expected", errFrame)
	}
	return nil
}

func (c *codec) fail() {
	c.bad = true
	c.in = ""
}

func (c *codec) uint(v *uint64) {
	if !c.reading {
		c.out = binary.AppendUvarint(c.out, *v)
		return
	}
	*v = 0
	for shift := 0; shift < 64; shift += 7 {
		if c.in == "" {
			break
		}
		b := c.in[0]
		c.in = c.in[1:]
		*v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return
		}
	}
	c.fail()
}

func (c *codec) int64(v *int64) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uint(&u)
	if c.reading {
		*v = int64(u>>1) ^ -int64(u&1)
	}
}

func (c *codec) int(v *int) {
	n := int64(*v)
	c.int64(&n)
	if c.reading {
		*v = int(n)
	}
}

func (c *codec) duration(v *time.Duration) { c.int64((*int64)(v)) }

func (c *codec) bool(v *bool) {
	var n uint64
	if *v {
		n = 1
	}
	c.uint(&n)
	if c.reading {
		*v = n == 1
		c.bad = c.bad || n > 1
	}
}

// present is the flag in front of a value that may be absent.
func (c *codec) present(p bool) bool {
	c.bool(&p)
	return p
}

// count reads or writes a number of things that follow, each of at least one
// byte.
func (c *codec) count(n int) int {
	u := uint64(n)
	c.uint(&u)
	if c.reading && u > uint64(len(c.in)) {
		c.fail()
		return 0
	}
	return int(u)
}

func (c *codec) text(s *string) {
	n := c.count(len(*s))
	if !c.reading {
		c.out = append(c.out, *s...)
		return
	}
	*s, c.in = c.in[:n], c.in[n:]
}

func (c *codec) hash(h *programHash) {
	if !c.reading {
		c.out = append(c.out, h[:]...)
		return
	}
	if copy(h[:], c.in) < len(h) {
		c.fail()
		return
	}
	c.in = c.in[len(h):]
}

// time keeps the instant, not the location: what is read is in UTC.
func (c *codec) time(t *time.Time) {
	if !c.present(!t.IsZero()) {
		return
	}
	seconds, nanos := t.Unix(), t.Nanosecond()
	c.int64(&seconds)
	c.int(&nanos)
	if c.reading {
		*t = time.Unix(seconds, int64(nanos)).UTC()
	}
}

// optional is a value that may be absent.
func optional[T any](c *codec, p **T, each func(*codec, *T)) {
	if !c.present(*p != nil) {
		return
	}
	if c.reading {
		*p = new(T)
	}
	each(c, *p)
}

// list is any number of values; nil and empty are told apart.
func list[T any](c *codec, s *[]T, each func(*codec, *T)) {
	if !c.present(*s != nil) {
		return
	}
	n := c.count(len(*s))
	if c.reading {
		*s = make([]T, n)
	}
	for i := range *s {
		each(c, &(*s)[i])
	}
}

// texts is a map of texts; nil and empty are told apart.
func (c *codec) texts(m *map[string]string) {
	if !c.present(*m != nil) {
		return
	}
	n := c.count(len(*m))
	if !c.reading {
		for k, v := range *m {
			c.text(&k)
			c.text(&v)
		}
		return
	}
	*m = make(map[string]string, n)
	for range n {
		var k, v string
		c.text(&k)
		c.text(&v)
		(*m)[k] = v
	}
}
