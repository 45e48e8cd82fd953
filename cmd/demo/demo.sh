#!/bin/sh
# Two minutes with hindsight: back up a tree of thousands of files, change it, back it
# up again, look at what is stored, browse both days in a mount and copy a file out,
# restore both and compare every byte, mode and time. Everything happens in one temporary folder that goes away at the end.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hindsight-demo.XXXXXX")
trap 'unmount 2>/dev/null || :; chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# say explains; run shows a command as it would be typed, and runs it.
say() { printf '\n# %s\n' "$*"; }
run() {
	printf '$ %s\n' "$*"
	"$@"
}

# unmount is what this user may do.
unmount() {
	if [ "$(id -u)" = 0 ]; then umount "$work/mnt"; else fusermount3 -u "$work/mnt"; fi
}

# listing is what is kept of a tree besides content: types, modes, owners, sizes, whole
# seconds and link targets. Sizes of directories and modes of links say nothing.
listing() {
	(cd "$1" && find . -type d -printf '%p d %m %U %G %Ts\n' -o -type l -printf '%p l %l\n' \
		-o -printf '%p %y %m %U %G %s %Ts\n') | sed 's/\.[0-9]*$//' | sort
}

# same ends the demo unless two trees are equal in content and metadata.
same() {
	printf '$ diff -r %s %s    # then modes, owners and times, with find -printf\n' "$1" "$2"
	diff -r --no-dereference "$1" "$2"
	listing "$1" >listing.1
	listing "$2" >listing.2
	diff listing.1 listing.2
	echo "equal: all $(wc -l <listing.1) paths"
}

say "Build the program."
cd "$root"
run go build -o bin/hindsight ./cmd/hindsight
source=$(go env GOROOT)/src

cd "$work"
PATH=$root/bin:$PATH XDG_CACHE_HOME=$work/cache TZ=UTC LC_ALL=C.UTF-8
export PATH XDG_CACHE_HOME TZ LC_ALL

say "The tree of our demo: Go's own sources, with a link and an odd name."
run cp -a "$source" tree
run ln -s fmt/print.go tree/shortcut
run touch "tree/a name with blanks, \"quotes\" and a é"
echo "$(find tree | wc -l) paths, $(du -sh --apparent-size tree | cut -f1)"
run cp -a tree monday

say "Monday: the first backup is a full one."
run hindsight backup --no-encryption tree file://store
run ls -lh store
monday=$(date +%s)
sleep 1 # states of a chain are told apart by the second

say "Tuesday: something is edited, added, deleted, renamed."
run sed -i 's/Println/Printline/g' tree/fmt/print.go
run cp tree/go.mod tree/brand-new-file
run rm -r tree/archive
run mv tree/bufio tree/bufio.old
run chmod 600 tree/errors/errors.go
run hindsight backup --no-encryption tree file://store

say "What is stored?"
run hindsight status --no-encryption file://store
printf '$ hindsight list --no-encryption file://store | tail -5\n'
hindsight list --no-encryption file://store >list
tail -5 list

say "Look into both days without restoring anything."
run mkdir mnt
run hindsight mount --daemon --no-encryption file://store mnt
run ls mnt
first=$(ls mnt | head -1)
printf '$ diff mnt/%s/fmt/print.go mnt/latest/fmt/print.go | head -4\n' "$first"
diff "mnt/$first/fmt/print.go" mnt/latest/fmt/print.go | head -4
say "A file that Tuesday has no more is copied out of Monday."
run cp "mnt/$first/bufio/scan.go" scan.go
run cmp scan.go monday/bufio/scan.go
run ls mnt/.versions/fmt/print.go
same tree mnt/latest/.
echo '$ umount mnt'
unmount

say "Restore the newest state, and Monday's, and compare."
run hindsight restore --no-encryption file://store now
same tree now
run hindsight restore --no-encryption --time "$monday" file://store then
same monday then

if command -v duplicity >/dev/null; then
	say "The store is a plain duplicity repository: duplicity restores it too."
	run duplicity restore --no-encryption --archive-dir "$work/cache/duplicity" "file://$work/store" by-duplicity
	same tree by-duplicity
fi
say "Done."
