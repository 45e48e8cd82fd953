// Package manifest reads and writes the text that lists the volumes of a set
// (duplicity-format.md §2); here "_" is a space that ends a line:
//
//	Hostname fxhost
//	Localdir src
//	Volume 1:
//	    StartingPath   . _
//	    EndingPath     big/span.bin 15
//	    Hash SHA1 03ffeea38ec1477ca2bd906d1646b95a039d45ff
//	Filelist 2
//	    new      a-small.txt
//	    deleted  gone.txt
//
// Lines end in \n. Paths are bytes, not text: quoting keeps white space, quotes
// and backslashes apart from the layout, everything else is raw. A line is split
// at white space first and its path unquoted afterwards.
//
// Readers and writers stream: the Filelist, which may name every file of a backup,
// is never held. Functions may be called from many goroutines at once; a Writer
// belongs to one.
package manifest
