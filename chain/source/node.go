package source

import "sync"

// chunk is the number of names whose metadata is read as one piece of work.
const chunk = 256

// slot is one object in archive order: an item, or a warning in its place.
type slot struct {
	Item
	scan bool // an item to be yielded only if something below it is
	warn *Warning
}

type nodeState uint8

const (
	pending nodeState = iota // nobody has begun
	running
	done // slots are there
)

// node is a piece of the walk: first work, then finished slots. The list's mutex
// guards links and state; all else belongs to whoever runs the node, and once it
// is done to the consumer.
type node struct {
	state nodeState
	dir   *dir
	names *nameList // of dir; nil until they are read
	from  int       // first name that is not yet looked at
	slots []slot
	cost  int64 // bytes that running the node has taken
	err   error // that ends the walk

	next         *node // in archive order
	pprev, pnext *node // among those not done
}

// list is the walk that is still to come, in archive order.
type list struct {
	mu       sync.Mutex
	work     sync.Cond // a node to run, room for it, or the end
	ready    sync.Cond // the first node is done, or the end
	head     *node
	undone   node // head of the ring of nodes that are not done, in archive order
	ahead    int64
	budget   int64
	stopped  bool
	awaiting bool // the consumer waits on ready
}

func newList(budget int64) *list {
	l := &list{budget: budget}
	l.work.L, l.ready.L = &l.mu, &l.mu
	l.undone.pprev, l.undone.pnext = &l.undone, &l.undone
	return l
}

// stop makes all waiting end.
func (l *list) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.work.Broadcast()
	l.ready.Broadcast()
}

// push puts n at the front. For the beginning of a walk.
func (l *list) push(n *node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.next = l.head
	l.head = n
	if n.state != done {
		l.link(&l.undone, n)
	}
}

// link puts n behind after in the ring.
func (l *list) link(after, n *node) {
	n.pprev, n.pnext = after, after.pnext
	n.pprev.pnext, n.pnext.pprev = n, n
	l.work.Signal()
}

// insert puts n, which is pending, behind after, which the caller is running.
func (l *list) insert(after, n *node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.next = after.next
	after.next = n
	l.link(after, n)
}

// finish says that n has been run. What follows are nodes to put behind it.
func (l *list) finish(n *node, follow []*node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, at := n, n
	for _, f := range follow {
		f.next = last.next
		last.next = f
		last = f
		if f.state != done {
			l.link(at, f)
			at = f
		}
	}
	n.pprev.pnext, n.pnext.pprev = n.pnext, n.pprev
	n.pprev, n.pnext = nil, nil
	n.state = done
	l.ahead += n.cost
	if l.awaiting && l.head == n {
		l.ready.Signal()
	}
}

// take waits for a node to run ahead of the consumer; nil at the end.
func (l *list) take() *node {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.stopped {
			return nil
		}
		if l.ahead < l.budget {
			// At most one node per worker is running.
			for n := l.undone.pnext; n != &l.undone; n = n.pnext {
				if n.state == pending {
					n.state = running
					return n
				}
			}
		}
		l.work.Wait()
	}
}

// first is the first node, done or for the consumer to run and then to come back
// for; nil at the end. One that a worker is running is waited for.
func (l *list) first() (n *node, run bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.stopped || l.head == nil:
			return nil, false
		case l.head.state == done:
			return l.pop(), false
		case l.head.state == pending:
			l.head.state = running
			return l.head, true
		}
		l.awaiting = true
		l.ready.Wait()
		l.awaiting = false
	}
}

// pop removes the first node. What it cost is no longer ahead of the consumer.
func (l *list) pop() *node {
	n := l.head
	l.head, n.next = n.next, nil
	if n.cost > 0 {
		full := l.ahead >= l.budget
		l.ahead -= n.cost
		if full && l.ahead < l.budget {
			l.work.Broadcast()
		}
	}
	return n
}
