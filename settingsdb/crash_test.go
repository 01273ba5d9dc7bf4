package settingsdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary plays the process that is killed: with this variable set it
// does what the variable says to the database named by its only argument.
const childVariable = "SETTINGSDB_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		if err := child(job, os.Args[1]); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(job, path string) error {
	fmt.Println("ready 0")
	switch job {
	case "create":
		fresh, err := Fresh(parsed("10.0.0.1"))
		if err != nil {
			return err
		}
		_, err = Create(path, fresh, "child")
		return err
	case "upgrade":
		_, err := Open(path)
		return err
	}
	return changeForEver(path)
}

// changeForEver applies one revision after the other beside a busy audit and
// tells the number of each when it is in force. Revision n carries n in
// disp_port.
func changeForEver(path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	if err := s.Lock(); err != nil {
		return err
	}
	ctx := context.Background()
	a := NewAudit(s, AuditConfig{Linger: time.Millisecond}, quiet())
	go func() { _ = a.Run(ctx) }()
	for {
		a.Write(auditRow(1))
		r, err := s.Current(ctx)
		if err != nil {
			return err
		}
		next := r.Settings
		var newest int64
		if err := s.reader.QueryRow("SELECT max(revision) FROM history").Scan(&newest); err != nil {
			return err
		}
		next.DispPort = int(newest) + 1
		begun, err := s.Begin(ctx, next, "child", nil)
		if err != nil {
			return err
		}
		if err := s.MarkApplied(ctx, begun.Number); err != nil {
			return err
		}
		fmt.Println("applied", begun.Number)
	}
}

// killed runs a child and kills it some time after its first line with the
// word first; it returns the last number that the child told.
func killed(t *testing.T, job, path, first string, after time.Duration) (told int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"="+job)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	for timer := (*time.Timer)(nil); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		word, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "failed" {
			t.Fatalf("child: %s", line)
		}
		if told, err = strconv.ParseInt(number, 10, 64); err != nil {
			t.Fatalf("child said %q", line)
		}
		if timer == nil && word == first {
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
	}
	// Killed, so that the error says no more than that.
	_ = cmd.Wait()
	return told
}

func TestKillLeavesTheLastAppliedRevision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	ours(t, path)
	for range 20 {
		after := time.Duration(rand.IntN(60_000)) * time.Microsecond
		told := killed(t, "change", path, "applied", after)
		s, err := Open(path)
		if err != nil {
			t.Fatalf("opening after a kill %v after the first change: %v", after, err)
		}
		must(t, s.Lock())
		r := current(t, s)
		if r.Number < told || r.Edited || int64(r.Settings.DispPort) != r.Number || r.State != StateApplied {
			t.Errorf("in force: got revision %d with disp_port %d, edited %v, want %d or later, complete",
				r.Number, r.Settings.DispPort, r.Edited, told)
		}
		for _, old := range story(t, s) {
			if old.State == StatePending {
				t.Errorf("revision %d is pending after the restart, want it decided", old.Number)
			}
		}
		must(t, s.Close())
	}
}

func TestKillWhileCreatingLeavesAllOrNothing(t *testing.T) {
	for i := range 10 {
		path := filepath.Join(t.TempDir(), "settings.db")
		killed(t, "create", path, "ready", time.Duration(i*2)*time.Millisecond)
		if err := present(path); err != nil {
			if _, err := os.Stat(path); err == nil {
				t.Error("got an empty file, want a whole database or none")
			}
			continue
		}
		s, err := Open(path)
		must(t, err)
		if r := current(t, s); r.Author != "child" {
			t.Errorf("author: got %q, want child", r.Author)
		}
		must(t, s.Close())
	}
}

func TestKillWhileUpgradingLeavesOneOrTheOther(t *testing.T) {
	for i := range 10 {
		path := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+missionDocument+"')")
		killed(t, "upgrade", path, "ready", time.Duration(i*2)*time.Millisecond)
		s, err := Open(path)
		must(t, err)
		if got := current(t, s).Settings.PublicAddr; got != "10.254.150.136" {
			t.Errorf("public_addr: got %q, want that of the original", got)
		}
		must(t, s.Close())
	}
}
