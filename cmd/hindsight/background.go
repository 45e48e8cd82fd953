package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// readyVariable tells a child which descriptor to write a byte to when it is ready, and
// so that it is to become a daemon then.
const readyVariable = "HINDSIGHT_READY_FD"

// background is how a process goes there: it starts itself anew, and its child, which
// still has the terminal, says all that there is to say and may ask for a passphrase.
// When the child is ready it leaves the terminal, and the first process ends.
type background struct {
	parent bool // this is the first process, and the child is ready
	ready  *os.File
}

// background starts the child, if one is wanted and this is not it, and waits until it
// is ready. If it fails, so does this process, with its exit code.
func (j *job) background(ctx context.Context, want bool) (*background, error) {
	if !want {
		return &background{}, nil
	}
	if fd, err := strconv.Atoi(j.env.get(readyVariable)); err == nil {
		unix.CloseOnExec(fd) // an agent that gpg starts would keep it open
		return &background{ready: os.NewFile(uintptr(fd), "ready")}, j.env.Setenv(readyVariable, "")
	}
	if j.env.Self == nil {
		return nil, errors.New("cannot start this program again for --daemon")
	}
	cmd, err := j.env.Self()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(cmd.Env, readyVariable+"=3")
	err = cmd.Start()
	w.Close() // the child has its own
	if err != nil {
		return nil, fmt.Errorf("start in the background: %w", err)
	}
	// A signal may be for this process alone.
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGTERM) })
	defer stop()
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return &background{parent: true}, cmd.Process.Release()
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return nil, errQuiet(exit.ExitCode())
	}
	if err == nil {
		err = errors.New("it ended before it was ready")
	}
	return nil, fmt.Errorf("in the background: %w", err)
}

// detach leaves the terminal: from now on messages go to the file log, each with its
// time, or nowhere if that is "".
func (b *background) detach(j *job, log string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	out := null
	if log != "" {
		if out, err = os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return fmt.Errorf("log file: %w", err)
		}
		defer out.Close()
	}
	if _, err := unix.Setsid(); err != nil {
		return os.NewSyscallError("setsid", err)
	}
	j.console.stamped(j.env.Now)
	for fd, f := range map[int]*os.File{unix.Stdin: null, unix.Stdout: out, unix.Stderr: out} {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	_, err = b.ready.Write([]byte{1})
	return errors.Join(err, b.close())
}

// close tells who waits that nothing will become of it, unless detach was faster.
func (b *background) close() error {
	if b.ready == nil {
		return nil
	}
	err := b.ready.Close()
	b.ready = nil
	return err
}

// stampedWriter puts the time before each line.
type stampedWriter struct {
	w   io.Writer
	now func() time.Time
}

func (s stampedWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, s.now().Format(time.RFC3339)+" "); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// stamped puts the time before each line from now on, but not before JSON.
func (c *console) stamped(now func() time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.json {
		c.out = stampedWriter{c.out, now}
	}
}
