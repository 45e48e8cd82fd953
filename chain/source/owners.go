package source

import (
	"os/user"
	"strconv"
	"sync"
)

// maxOwners bounds each of the two caches: a tree may hold any number of ids.
const maxOwners = 1 << 14

// owners remembers the names of users and groups. Ready to use; safe for
// concurrent use. An id without a name is remembered too, as "".
type owners struct {
	mu     sync.RWMutex
	users  map[uint32]string
	groups map[uint32]string
}

func (o *owners) user(id uint32) string {
	return o.name(&o.users, id, func(s string) string {
		u, err := user.LookupId(s)
		if err != nil {
			return ""
		}
		return u.Username
	})
}

func (o *owners) group(id uint32) string {
	return o.name(&o.groups, id, func(s string) string {
		g, err := user.LookupGroupId(s)
		if err != nil {
			return ""
		}
		return g.Name
	})
}

func (o *owners) name(cache *map[uint32]string, id uint32, look func(string) string) string {
	o.mu.RLock()
	name, ok := (*cache)[id]
	o.mu.RUnlock()
	if ok {
		return name
	}
	name = look(strconv.FormatUint(uint64(id), 10))
	o.mu.Lock()
	defer o.mu.Unlock()
	if *cache == nil || len(*cache) >= maxOwners {
		*cache = make(map[uint32]string)
	}
	(*cache)[id] = name
	return name
}
