package snapshot

import "slices"

// A node is a row of at most maxNodeBlocks blocks.
type node struct {
	row[block]
	heapBytes int64 // of the blocks and their slots here
}

const (
	maxNodeBlocks = 40
	// What a block costs besides its own bytes: its slice header and its head.
	blockSlotBytes = 24 + 8
	// What a node costs besides its blocks: itself and its slot in the root.
	nodeBytes = 112 + 16
)

func newNode(r row[block]) *node {
	n := &node{row: r}
	for _, b := range r.children {
		n.heapBytes += int64(cap(b)) + blockSlotBytes
	}
	return n
}

// group appends the nodes that hold blocks, as few and as even as it can. It
// takes blocks over.
func group(nodes []*node, blocks []block) []*node {
	if len(blocks) > 0 && len(blocks) <= maxNodeBlocks {
		return append(nodes, newNode(newRow(blocks)))
	}
	for parts := divideUp(len(blocks), maxNodeBlocks); parts > 0; parts-- {
		n := divideUp(len(blocks), parts)
		nodes = append(nodes, newNode(newRow(slices.Clone(blocks[:n]))))
		blocks = blocks[n:]
	}
	return nodes
}

// first, fits and join make a node a child of the root.

func (n *node) first() []byte { return n.children[0].first() }

func (n *node) fits(next *node) bool {
	return len(n.children)+len(next.children) <= maxNodeBlocks/2
}

func (n *node) join(next *node) *node {
	return newNode(newRow(slices.Concat(n.children, next.children)))
}
