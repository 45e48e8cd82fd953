// Package fusefs shows the snapshots of a repository as a read-only file system, over
// go-fuse's raw interface.
//
//	2026-11-20T030000Z/    a directory for every snapshot of every chain
//	2026-11-21T030000Z/
//	latest -> 2026-11-21T030000Z
//	3D, now, 2026-11-20    every expression of time is a symlink once it is asked for
//	.versions/etc/passwd/  all versions of a path, named as the first snapshot with each
//
// expressions and .versions are there for who asks for them, and are not listed. A
// mount of a single snapshot has that one's root for its own, and nothing else.
//
// # What the kernel keeps
//
// A snapshot never changes, so whatever the kernel was told of one it may believe for
// ever: names, attributes, that a name does not exist, pages and whole directories. It
// does not even ask us to open and close. Exceptions are the root and .versions, which
// grow, and symlinks by time: these it believes for a second, and is told when there is a
// new snapshot. The attributes of a file whose size is not known yet are left out of
// directory listings, and found out when somebody asks for them by stat.
//
// A question of the kernel costs more than most answers. So the small files behind one
// that is read are pushed into its cache: see push.go.
//
// Nothing is remembered of what the kernel knows: all that a request needs is in its node
// id. See node.go.
//
// # Errors
//
// What the store cannot deliver is EIO to who reads, and tells its cause to the log once.
// Nothing of it sticks: the next request tries again. A reader who is interrupted while
// he waits gets EINTR after a moment. Everything that would change something is EROFS.
//
// # Its end
//
// A mount ends by Unmount, or when somebody unmounts the directory. Who is in it is named
// by the BusyError. If the process dies the directory stays and says ENOTCONN: an empty
// directory in its place would be the truth to rsync --delete.
package fusefs
