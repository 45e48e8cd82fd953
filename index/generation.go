package index

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// allVersions reads what is the same at all times.
const allVersions = math.MaxUint64

// dbOptions are made for little memory: 16 MiB of blocks are cached. A writer does not
// compact before it closes: compactions beside the writing, which each hold a dozen
// tables twice, took four times as much memory and were not faster.
func dbOptions(dir string, readOnly bool, log *slog.Logger) badger.Options {
	opt := badger.DefaultOptions(dir).
		WithReadOnly(readOnly).
		WithLogger(dbLogger{log}).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithNumCompactors(0).
		WithCompactL0OnClose(true).
		WithNumLevelZeroTables(math.MaxInt32 - 1).
		WithNumLevelZeroTablesStall(math.MaxInt32).
		WithBaseTableSize(2 << 20).
		WithValueLogFileSize(64 << 20).
		WithValueThreshold(1 << 10).
		WithNumVersionsToKeep(math.MaxInt).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(0).
		WithCompression(options.ZSTD).
		WithChecksumVerificationMode(options.OnBlockRead)
	opt.TableSizeMultiplier = 1
	return opt
}

// dbLogger passes on what badger has to complain of.
type dbLogger struct{ log *slog.Logger }

func (l dbLogger) Errorf(format string, args ...any) {
	l.log.Error("index database", "message", fmt.Sprintf(format, args...))
}
func (l dbLogger) Warningf(format string, args ...any) {
	l.log.Debug("index database", "message", fmt.Sprintf(format, args...))
}
func (dbLogger) Infof(string, ...any)  {}
func (dbLogger) Debugf(string, ...any) {}

// generation is an open generation. It is immutable. Whoever uses it holds a reference,
// and the last to give one back closes it.
type generation struct {
	number uint64
	path   string
	meta   *meta
	db     *badger.DB
	pin    *os.File
	scans  *scans
	refs   atomic.Int64
	links  linkCache
	idle   cursors

	snapshots []*Snapshot // by time
	byNumber  map[uint32]*place
	byVersion map[chainVersion]uint32
}

// place is where a set stands in its chain.
type place struct {
	chain    *chainMeta
	at       int // in chain.Sets
	snapshot *Snapshot
}

type chainVersion struct {
	chain   uint32
	version uint64
}

// openGeneration opens a generation to read it. Errors: fs.ErrNotExist if there is
// none, ErrDamaged, errSchema, errForeign.
func openGeneration(x *Index, n uint64) (*generation, error) {
	path := genPath(x.dir, n)
	pin, err := pinGeneration(path)
	if err != nil {
		return nil, err
	}
	g := &generation{number: n, path: path, pin: pin, scans: x.scans}
	g.refs.Store(1)
	if err := g.open(x); err != nil {
		return nil, errors.Join(err, pin.Close())
	}
	return g, nil
}

func (g *generation) open(x *Index) (err error) {
	if g.meta, err = readMeta(filepath.Join(g.path, metaFile)); err != nil {
		return err
	}
	if g.meta.Identity != x.identity {
		return errForeign
	}
	if err := verifyFiles(g.path); err != nil {
		return err
	}
	if g.db, err = badger.OpenManaged(dbOptions(filepath.Join(g.path, dbName), true, x.log)); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	g.arrange(x)
	return nil
}

func (g *generation) close() error {
	g.idle.close()
	return errors.Join(g.db.Close(), g.pin.Close())
}

func (g *generation) release() {
	if g.refs.Add(-1) == 0 {
		g.close() // nothing was written
	}
}
