package treetest

import "strings"

// OddNames are names of one component that formats, quoting and patterns trip
// over: blanks, line ends, quotes, backslashes, bytes that are not UTF-8, the
// longest name, and the words of duplicity's own format.
func OddNames() []string {
	return []string{
		" leading", "trailing ", "two  spaces", " ", "tab\there", "new\nline", "cr\rhere", "vt\vff\f",
		`"double"`, "'single'", `back\slash`, `\x41`, "\\", `"`, "'",
		"caf\u00e9", "cafe\u0301", "\u65e5\u672c\u8a9e", "\U0001f600", "\xff\xfe", "latin\xe9", "half\xc3",
		"bell\a", "esc\x1b[31m", "del\x7f",
		"snapshot", "diff", "deleted", "signature", "multivol_diff", "multivol_snapshot", "1", "0",
		"Volume 1:", "Filelist 2", "Hostname fake", "GNUSparseFile.0", "@LongLink", "PaxHeader",
		"-dash", "--option", "#hash", "~tilde", "..dots", "...", ".hidden", "star*", "quest?", "[set]", "{brace}",
		"a-b", "a.b", "a b", "a", "%41", "$HOME", "`id`", "semi;colon", "amp&", "pipe|", "co:lon", "CON", "nul.",
		strings.Repeat("x", 255), strings.Repeat("\u00e9", 127), strings.Repeat("y", 100), strings.Repeat("z", 101),
	}
}

// OddTree has a file of every odd name, a directory and a symlink of some, and
// paths that spell entries of duplicity's archives (duplicity-format.md §3.3).
func OddTree() []Node {
	var nodes []Node
	for i, name := range OddNames() {
		nodes = append(nodes,
			File("files/"+name, "content of "+name).At(BaseTime-int64(i)),
			File("dirs/"+name+"/inner", name),
			Symlink("links/"+name, name))
	}
	deep := strings.Repeat("deep-directory/", 20)
	return append(nodes,
		File("multivol_diff/1", "one"), File("multivol_snapshot/file/2", "two"),
		File("snapshot/snapshot/snapshot", "three"), File("deleted/gone", "four"), Dir("diff/empty"),
		File("order/a/inner", "a"), File("order/a-b", "b"), File("order/a.b", "c"), File("order/a/b", "d"), File("order/ab", "e"),
		File(deep+"end", "a path of more than 256 bytes"), Symlink("longlink", deep+"end"))
}
