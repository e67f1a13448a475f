package snapshot

// Apply returns the snapshot after c and leaves s as it is. A put adds an item
// or replaces its value; deleting an absent key does nothing. Only the blocks
// that c touches are copied, and the digest is brought up to date from the old
// bytes found there.
func (s *Snapshot) Apply(c Change) *Snapshot {
	if c.Empty() {
		return s
	}
	next := &Snapshot{key: s.key, tally: s.tally}
	ops := c.ops()
	if s.items == 0 {
		next.root = newRow(next.regroup(nil, next.merge(nil, noBlock, ops)))
		return next
	}
	nodes, moved := s.root.rewrite(ops, next.change)
	if moved {
		next.root = newRow(nodes)
	} else {
		next.root = s.root
		next.root.children = nodes
	}
	return next
}

// change appends to fresh the nodes that replace n.
func (s *Snapshot) change(fresh []*node, n *node, ops []op) []*node {
	s.heapBytes -= n.heapBytes
	blocks, moved := n.rewrite(ops, s.merge)
	if moved {
		return s.regroup(fresh, blocks)
	}
	r := n.row
	r.children = blocks
	same := newNode(r)
	s.heapBytes += same.heapBytes
	return append(fresh, same)
}

// regroup appends to fresh the nodes that hold blocks.
func (s *Snapshot) regroup(fresh []*node, blocks []block) []*node {
	old := len(fresh)
	fresh = group(fresh, blocks)
	for _, n := range fresh[old:] {
		s.heapBytes += n.heapBytes
	}
	return fresh
}

// merge appends to fresh the blocks that replace b, which may be noBlock.
func (s *Snapshot) merge(fresh []block, b block, ops []op) []block {
	var room [maxBlockPairs + 1]pair
	pairs := room[:0]
	i := 0
	for _, o := range ops {
		j, found := b.search(o.key)
		pairs = b.appendPairs(pairs, i, j)
		i = j
		if found {
			s.remove(s.key, b.at(j))
			i++
		}
		if o.put != nil {
			s.add(s.key, o.put)
			pairs = append(pairs, o.put)
		}
	}
	return pack(fresh, b.appendPairs(pairs, i, b.len()))
}
