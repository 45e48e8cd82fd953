// Package selection decides which objects of a source tree a backup takes, by
// duplicity's --include, --exclude and related options (duplicity-format.md §8).
//
// The options form one ordered list, in command-line order. For each object the
// first rule with an opinion decides; an object that no rule speaks of is
// included. The source itself is always included and never tested. Whatever is
// in an excluded directory is out because the directory is not entered.
//
// A rule answers [Include], [Exclude], [Scan] or [None]. Scan comes from include
// rules, for a directory that may hold something they include. It does not end
// the search: a later Include still wins, while a later Exclude, or no further
// opinion, leaves it at Scan. Such a directory is entered, and stored only if
// something inside is included.
//
// Globs and regular expressions are matched against the full path: the source
// as it was given on the command line, "/", and the path below it.
//
//   - any run of characters but "/"
//     ?        one character but "/"
//     **       any run of characters
//     [abc]    one character of the set, ranges too; [!abc] and [^abc] negate it
//
// A "[" that is never closed stands for itself. There is no escape character:
// write [*] for a star. A glob matches what it spells and everything below
// that; with a trailing "/" what it spells must be a directory.
//
// Characters are Unicode code points; each byte that is not valid UTF-8 counts
// as one character of its own, equal only to the same byte. Matching takes time
// proportional to the length of the path times that of the pattern, whatever
// the pattern.
//
// The package knows no file system: the caller describes each [Object]. A
// [Selection] is immutable and safe for concurrent use. Everything that is wrong
// with the rules is reported by [Compile] as an [Error], which carries
// duplicity's exit code (§6.1).
//
// Behaviour differs from duplicity on purpose in these points:
//   - Regular expressions are RE2: lookaround and backreferences are refused.
//   - duplicity's pattern a also takes a name "a\n", as Python's "$" matches
//     before a last line feed. Here a matches a alone.
//   - ignorecase compares the lower case of single code points, in the path of
//     the source too, as duplicity 3 does.
package selection
