package manifest

// ReadWithin is Read with another limit of memory, in bytes.
var ReadWithin = readWithin
