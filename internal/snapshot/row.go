package snapshot

// A child is an element of a row: a block, or a node, which is a row of blocks.
type child[T any] interface {
	first() []byte // the smallest key
	fits(next T) bool
	join(next T) T
}

// A row is a run of children in ascending order of key, with what it takes to
// find the one that a key belongs to while touching as little memory as can
// be: the prefix that the first keys of all children but the first have in
// common, and the eight bytes after it of each as a number. It never changes.
type row[T child[T]] struct {
	children []T
	common   string
	heads    []uint64 // heads[i] is of children[i+1]
}

// newRow computes what it takes to search children.
func newRow[T child[T]](children []T) row[T] {
	r := row[T]{children: children}
	if len(children) < 2 {
		return r
	}
	from := children[1].first()
	r.common = string(from[:commonBytes(from, children[len(children)-1].first())])
	r.heads = make([]uint64, len(children)-1)
	for i := range r.heads {
		r.heads[i] = head8(children[i+1].first()[len(r.common):])
	}
	return r
}

// find returns the index of the child that has key, if any has: the last one
// whose first key is not greater, or else the first. The row is not empty.
func (r *row[T]) find(key string) int {
	n := len(r.common)
	if len(key) < n || key[:n] != r.common {
		if key < r.common {
			return 0
		}
		return len(r.heads)
	}
	h := head8(key[n:])
	i := below(r.heads, h)
	// Equal heads decide nothing; these few are searched by the keys themselves.
	for j := i + leading(r.heads[i:], h); i < j; {
		mid := int(uint(i+j) >> 1)
		if string(r.children[mid+1].first()) <= key {
			i = mid + 1
		} else {
			j = mid
		}
	}
	return i
}

// rewrite returns the children that result when change replaces each child
// that ops touch; it appends any number of new ones. ops ascend. moved is
// false if the row's search data fits the result as well.
func (r *row[T]) rewrite(ops []op, change func(fresh []T, old T, ops []op) []T) (children []T, moved bool) {
	out := seam[T]{children: make([]T, 0, len(r.children)+1)}
	next := 0
	for len(ops) > 0 {
		i := r.find(ops[0].key)
		out.keep(r.children[next:i])
		mine, rest := r.divide(ops, i)
		var room [2]T
		fresh := change(room[:0], r.children[i], mine)
		if len(fresh) != 1 || i > 0 && string(fresh[0].first()) != string(r.children[i].first()) {
			moved = true
		}
		for _, c := range fresh {
			out.push(c)
		}
		out.fresh = true
		ops, next = rest, i+1
	}
	out.keep(r.children[next:])
	return out.children, moved || out.joined
}

// divide cuts ops, of which the first belongs to child i, after the last that
// does.
func (r *row[T]) divide(ops []op, i int) (mine, rest []op) {
	if i+1 == len(r.children) {
		return ops, nil
	}
	n := 1
	for n < len(ops) && ops[n].key < string(r.children[i+1].first()) {
		n++
	}
	return ops[:n], ops[n:]
}

// A seam is a list of children under construction that joins a new child to a
// neighbour when the two are small, so that deletes do not leave crumbs.
type seam[T child[T]] struct {
	children []T
	fresh    bool // the last child is new
	joined   bool // push has ever joined
}

// keep appends children that are as they were.
func (s *seam[T]) keep(children []T) {
	for len(children) > 0 && s.fresh {
		s.fresh = s.push(children[0])
		children = children[1:]
	}
	s.children = append(s.children, children...)
}

// push appends one child, or joins it to the last and returns true.
func (s *seam[T]) push(c T) bool {
	if n := len(s.children); n > 0 && s.children[n-1].fits(c) {
		s.children[n-1] = s.children[n-1].join(c)
		s.joined = true
		return true
	}
	s.children = append(s.children, c)
	return false
}
