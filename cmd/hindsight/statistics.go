package main

import (
	"fmt"
	"strings"
	"time"

	"hindsight/chain/backup"
)

// statistics are what a backup did, as JSON. Sizes are in bytes.
type statistics struct {
	Type             string    `json:"type"`   // backup
	Backup           string    `json:"backup"` // full or incremental
	Time             time.Time `json:"time"`   // of the set
	Start            time.Time `json:"start"`
	End              time.Time `json:"end"`
	SourceFiles      int64     `json:"source_files"`
	SourceFileSize   int64     `json:"source_file_size"`
	NewFiles         int64     `json:"new_files"`
	NewFileSize      int64     `json:"new_file_size"`
	DeletedFiles     int64     `json:"deleted_files"`
	ChangedFiles     int64     `json:"changed_files"`
	ChangedFileSize  int64     `json:"changed_file_size"`
	ChangedDeltaSize int64     `json:"changed_delta_size"`
	DeltaEntries     int64     `json:"delta_entries"`
	RawDeltaSize     int64     `json:"raw_delta_size"`
	StoredSize       int64     `json:"stored_size"`
	Volumes          int       `json:"volumes"`
	Errors           int64     `json:"errors"`
}

// printStatistics prints duplicity's block (duplicity-format.md §6.2).
func (j *job) printStatistics(s *backup.Statistics) error {
	if j.opt.json {
		return j.printJSON(statistics{
			Type: "backup", Backup: setType(s.Set.Inc), Time: s.Set.End.Time().UTC(), Start: s.Start.UTC(), End: s.End.UTC(),
			SourceFiles: s.SourceFiles, SourceFileSize: s.SourceFileSize, NewFiles: s.NewFiles, NewFileSize: s.NewFileSize,
			DeletedFiles: s.DeletedFiles, ChangedFiles: s.ChangedFiles, ChangedFileSize: s.ChangedFileSize,
			ChangedDeltaSize: s.ChangedDeltaSize, DeltaEntries: s.DeltaEntries, RawDeltaSize: s.RawDeltaSize,
			StoredSize: s.StoredSize, Volumes: s.Volumes, Errors: s.Errors,
		})
	}
	var b strings.Builder
	b.WriteString("--------------[ Backup Statistics ]--------------\n")
	moment := func(name string, t time.Time) {
		fmt.Fprintf(&b, "%s %.2f (%s)\n", name, float64(t.UnixMicro())/1e6, j.asctime(t))
	}
	count := func(name string, n int64) { fmt.Fprintf(&b, "%s %d\n", name, n) }
	size := func(name string, n int64) { fmt.Fprintf(&b, "%s %d (%s)\n", name, n, statSize(n)) }
	moment("StartTime", s.Start)
	moment("EndTime", s.End)
	elapsed := s.End.Sub(s.Start)
	fmt.Fprintf(&b, "ElapsedTime %.2f (%s)\n", elapsed.Seconds(), statDuration(elapsed))
	count("SourceFiles", s.SourceFiles)
	size("SourceFileSize", s.SourceFileSize)
	count("NewFiles", s.NewFiles)
	size("NewFileSize", s.NewFileSize)
	count("DeletedFiles", s.DeletedFiles)
	count("ChangedFiles", s.ChangedFiles)
	size("ChangedFileSize", s.ChangedFileSize)
	size("ChangedDeltaSize", s.ChangedDeltaSize)
	count("DeltaEntries", s.DeltaEntries)
	size("RawDeltaSize", s.RawDeltaSize)
	size("TotalDestinationSizeChange", s.StoredSize)
	count("Errors", s.Errors)
	b.WriteString("-------------------------------------------------\n\n")
	_, err := fmt.Fprint(j.env.Stdout, b.String())
	return err
}

func setType(inc bool) string {
	if inc {
		return "incremental"
	}
	return "full"
}

// asctime is how duplicity shows a time: C's asctime, in local time.
func (j *job) asctime(t time.Time) string { return t.In(j.env.Location).Format(time.ANSIC) }

// statSize is a size with three digits, as duplicity's statistics have it.
func statSize(n int64) string {
	units := []string{"KB", "MB", "GB", "TB"}
	if n < 1024 {
		return plural(n, "byte")
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u+1 < len(units) {
		v, u = v/1024, u+1
	}
	digits := 2
	switch {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, units[u])
}

// statDuration is "1 hour 2 minutes 3.45 seconds".
func statDuration(d time.Duration) string {
	var parts []string
	if h := int64(d / time.Hour); h > 0 {
		parts = append(parts, plural(h, "hour"))
	}
	if m := int64(d / time.Minute % 60); m > 0 {
		parts = append(parts, plural(m, "minute"))
	}
	seconds := (d % time.Minute).Seconds()
	return strings.Join(append(parts, fmt.Sprintf("%.2f seconds", seconds)), " ")
}
