package dirstore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/chain/dirstore"
	"hindsight/chain/store"
)

// crashDir names the directory in which the test binary, run by TestKilledPut, puts
// objects until it is killed.
const crashDir = "HINDSIGHT_DIRSTORE_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, putForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// putForever puts objects whose bytes all equal their number, over one another and
// under new names.
func putForever(dir string) error {
	s, err := dirstore.Open(dir, false)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		data := bytes.Repeat([]byte{byte(i)}, 100_000)
		for _, name := range []string{"same", fmt.Sprintf("object.%d", i)} {
			opt := store.PutOptions{IfAbsent: name != "same"}
			if err := s.Put(context.Background(), name, store.Bytes(data), opt); err != nil {
				return err
			}
		}
		fmt.Println(i) // stored, both of them
	}
}

func TestKilledPut(t *testing.T) {
	for round := range 5 {
		s, dir := openDir(t)
		stored := killWhilePutting(t, dir, round)
		for o, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			b, err := store.ReadAll(t.Context(), s, o.Name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) != 100_000 || bytes.Count(b, b[:1]) != len(b) {
				t.Errorf("%s is not whole: %d bytes", o.Name, len(b))
			}
		}
		got := names(t, s)
		for i := range stored {
			if name := fmt.Sprintf("object.%d", i); !slices.Contains(got, name) {
				t.Errorf("%s was put, and is missing", name)
			}
		}
		for o, err := range s.ListRemains(t.Context(), time.Now().Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteRemains(t.Context(), o.Name); err != nil {
				t.Error(err)
			}
		}
		wantTemps(t, dir)
	}
}

// killWhilePutting runs putForever, kills it in the midst of its work, and returns
// how many rounds it has told of.
func killWhilePutting(t *testing.T, dir string, round int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	line := make([]byte, 1)
	for n := 0; n <= round; { // the more rounds the later the kill
		if _, err := io.ReadFull(out, line); err != nil {
			t.Fatalf("child ended by itself: %v %s", err, stderr.String())
		}
		told.Write(line)
		n += bytes.Count(line, []byte("\n"))
	}
	time.Sleep(time.Duration(round) * 700 * time.Microsecond) // a different place in a put each time
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	told.Write(rest)
	_ = cmd.Wait() // says that it was killed
	return strings.Count(told.String(), "\n")
}
