package cfworker

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv/internal/cfjs"
)

// fill gives every field below v a value of its own, so that a field that the
// codec forgets is missed. Lists and maps get the given number of elements.
func fill(v reflect.Value, next func() int64, elements int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text " + time.Duration(next()).String())
	case reflect.Int, reflect.Int64:
		v.SetInt(next())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), next, elements)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), elements, elements))
		for i := range elements {
			fill(v.Index(i), next, elements)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), next, elements)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range elements {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, next, elements)
			fill(value, next, elements)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next, elements)
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func filled[T any](elements int) T {
	var v T
	n := int64(-1 << 40)
	fill(reflect.ValueOf(&v).Elem(), func() int64 { n = -n*3 + 1; return n }, elements)
	return v
}

func roundTrip[T any](t *testing.T, v T, code func(*codec, *T)) {
	t.Helper()
	e := encoder(nil)
	code(e, &v)
	var back T
	d := decoder(e.out)
	code(d, &back)
	if err := d.finish(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, back, cmp.AllowUnexported(request{}, setup{}, storeInfo{})); diff != "" {
		t.Error(diff)
	}
	for n := range e.out {
		var part T
		d := decoder(e.out[:n])
		if code(d, &part); d.finish() == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", n, len(e.out))
		}
	}
}

// A new field in a type of package cfjs needs a line in message.go.
func TestEveryFieldComesThrough(t *testing.T) {
	for _, elements := range []int{0, 1, 2} {
		roundTrip(t, filled[cfjs.Event](elements), codeEvent)
		roundTrip(t, filled[cfjs.Result](elements), codeResult)
	}
	roundTrip(t, cfjs.Result{}, codeResult)
	roundTrip(t, cfjs.Event{}, codeEvent)
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	q := request{runtime: cfjs.Runtime20, now: now, store: &storeInfo{cfjs.StoreMeta{ID: "id", Created: now.Add(-1), LastUpdated: now.Add(1)}, 3}, event: filled[cfjs.Event](1)}
	q.hash[7] = 9
	roundTrip(t, q, func(c *codec, q *request) { q.code(c) })
	roundTrip(t, request{}, func(c *codec, q *request) { q.code(c) })
	roundTrip(t, setup{1, 2, 3, 4, 5, 6, &cfjs.EdgeLocation{Name: "a", ServerIP: "b", Region: "c"}}, func(c *codec, s *setup) { s.code(c) })
}

func TestNumbersAndTextsComeThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type values struct {
			n int64
			u uint64
			s string
			m map[string]string
		}
		v := values{rapid.Int64().Draw(t, "n"), rapid.Uint64().Draw(t, "u"), rapid.String().Draw(t, "s"),
			rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "m")}
		code := func(c *codec, v *values) {
			c.int64(&v.n)
			c.uint(&v.u)
			c.text(&v.s)
			c.texts(&v.m)
		}
		e := encoder(nil)
		code(e, &v)
		var back values
		d := decoder(e.out)
		code(d, &back)
		if diff := cmp.Diff(v, back, cmp.AllowUnexported(values{})); diff != "" || d.finish() != nil {
			t.Fatal(diff, d.finish())
		}
	})
}

// A worker is not trusted: what it sends must not make the parent allocate or
// fail.
func FuzzResult(f *testing.F) {
	for _, elements := range []int{0, 1} {
		e := encoder(nil)
		r := filled[cfjs.Result](elements)
		codeResult(e, &r)
		f.Add(e.out)
	}
	f.Add([]byte("\x00\x00\x00\x01\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r cfjs.Result
		d := decoder(b)
		codeResult(d, &r)
		if d.finish() != nil {
			return
		}
		e := encoder(nil)
		codeResult(e, &r)
		var again cfjs.Result
		codeResult(decoder(e.out), &again)
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestFrames(t *testing.T) {
	frame := func(kind frameKind, payload string) []byte {
		var out bytes.Buffer
		if err := writeFrame(&out, append(beginFrame(nil, kind), payload...)); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	big := string(bytes.Repeat([]byte("x"), keptBuffer+1))
	stream := bytes.Join([][]byte{frame(frameGet, "key"), frame(frameValue, big), frame(frameReady, ""), frame(frameGet, "k")}, nil)
	r := newFrameReader(&slowReader{stream})
	for _, want := range []struct {
		kind    frameKind
		payload string
	}{{frameGet, "key"}, {frameValue, big}, {frameReady, ""}, {frameGet, "k"}} {
		kind, payload, err := r.read()
		if err != nil || kind != want.kind || string(payload) != want.payload {
			t.Fatalf("%c %.20q, %v; want %c %.20q", kind, payload, err, want.kind, want.payload)
		}
	}
	if cap(r.buf) > keptBuffer {
		t.Errorf("a buffer of %d bytes is kept after a small frame", cap(r.buf))
	}
	if _, _, err := r.read(); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}

	whole := frame(frameGet, "key")
	for n := 1; n < len(whole); n++ {
		if _, _, err := newFrameReader(bytes.NewReader(whole[:n])).read(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of a frame: %v, want unexpected EOF", n, err)
		}
	}
	for _, header := range []string{"\x00\x00\x00\x00g", "\x01\x00\x00\x04g", "\xff\xff\xff\xffg"} {
		if _, _, err := newFrameReader(bytes.NewReader([]byte(header))).read(); !errors.Is(err, errFrame) {
			t.Errorf("length %x: %v, want a malformed frame", header[:4], err)
		}
	}
}

// A slowReader gives what it has in parts that no frame fits in.
type slowReader struct{ b []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 4093)], r.b)
	r.b = r.b[n:]
	return n, nil
}
