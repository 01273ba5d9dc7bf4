package settingsdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

func auditRow(i int) AuditRow {
	return AuditRow{
		At: noon.Add(time.Duration(i) * time.Millisecond), Event: "close",
		ConnectionID: fmt.Sprintf("6f0e9a52-5d0f-4f0c-9c2e-%012d", i), Node: "10.0.0.1", User: "alice@example.org", Verified: i%2 == 0,
		VMID: "vm-4711", VMAddress: "10.1.2.3", VMPort: 5901, Protocol: "vnc", ClientAddr: "203.0.113.7", Port: 5937, Mode: "port",
		BytesUp: int64(i) * 1000, BytesDown: 1 << 40, Duration: 90 * time.Minute, Reason: "client_closed",
	}
}

// running runs an audit writer until the returned function is called.
func running(t testing.TB, a *Audit) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("Run did not return after its context ended")
		}
	}
}

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func countAudit(t testing.TB, s *Store) (n int) {
	t.Helper()
	if err := s.reader.QueryRow("SELECT count(*) FROM audit").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAuditRowsComeBackNewestFirst(t *testing.T) {
	s := created(t)
	a := NewAudit(s, AuditConfig{}, quiet())
	stop := running(t, a)
	var want []AuditRow
	for i := range 300 {
		a.Write(auditRow(i))
		want = append([]AuditRow{auditRow(i)}, want...)
	}
	stop()
	got, err := s.AuditRows(context.Background(), 1000)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got, err := s.AuditRows(context.Background(), 2); err != nil || len(got) != 2 {
		t.Errorf("with a limit: got %d rows and %v, want 2", len(got), err)
	}
}

func TestAuditRowsAppearWhileRunning(t *testing.T) {
	s := created(t)
	a := NewAudit(s, AuditConfig{}, quiet())
	defer running(t, a)()
	a.Write(auditRow(1))
	eventually(t, "the row is in the database", func() bool { return countAudit(t, s) == 1 })
}

func TestAuditWriteNeverWaits(t *testing.T) {
	a := NewAudit(created(t), AuditConfig{Queue: 10}, quiet())
	for i := range 25 {
		a.Write(auditRow(i))
	}
	if got := a.Dropped(); got != 15 {
		t.Errorf("dropped from a queue of 10: got %d, want 15", got)
	}
	running(t, a)()
	if got := countAudit(t, a.store); got != 10 {
		t.Errorf("rows written: got %d, want the 10 that were queued", got)
	}
	a.Write(auditRow(99))
	if got := a.Dropped(); got != 16 {
		t.Errorf("dropped after the end: got %d, want 16", got)
	}
}

func TestAuditKeepsRowsWhileItCannotWrite(t *testing.T) {
	s := created(t)
	_, err := s.writer.Exec("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'broken'); END")
	must(t, err)
	log, hook := test.NewNullLogger()
	a := NewAudit(s, AuditConfig{}, log)
	stop := running(t, a)
	for i := range 100 {
		a.Write(auditRow(i))
	}
	eventually(t, "the failure is reported", func() bool { return a.Err() != nil })
	if !strings.Contains(a.Err().Error(), "broken") {
		t.Errorf("Err: got %v, want the cause", a.Err())
	}
	_, err = s.writer.Exec("DROP TRIGGER broken")
	must(t, err)
	eventually(t, "all rows are written", func() bool { return countAudit(t, s) == 100 })
	eventually(t, "Err is nil again", func() bool { return a.Err() == nil })
	stop()
	if got := len(hook.AllEntries()); got != 2 || a.Dropped() != 0 {
		t.Errorf("got %d log lines and %d dropped rows, want one for the failure, one for its end, none dropped", got, a.Dropped())
	}
}

func TestAuditEndsInTimeWhenItCannotWrite(t *testing.T) {
	s := created(t)
	_, err := s.writer.Exec("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'broken'); END")
	must(t, err)
	a := NewAudit(s, AuditConfig{Flush: 200 * time.Millisecond}, quiet())
	stop := running(t, a)
	for i := range 2000 {
		a.Write(auditRow(i))
	}
	eventually(t, "the failure is reported", func() bool { return a.Err() != nil })
	start := time.Now()
	stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("end: took %v, want about 200 ms", took)
	}
	if got := a.Dropped(); got != 2000 {
		t.Errorf("dropped: got %d, want 2000", got)
	}
}

func TestAuditRetention(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		ages []time.Duration // of groups of 3000 rows
		cfg  AuditConfig
		want int
	}{
		"nothing too old or too many": {[]time.Duration{2 * day, day}, AuditConfig{MaxAge: 3 * day, MaxRows: 6000}, 6000},
		"too old":                     {[]time.Duration{9 * day, 8 * day, day}, AuditConfig{MaxAge: 3 * day}, 3000},
		"too many":                    {[]time.Duration{2 * day, day, 0}, AuditConfig{MaxRows: 100}, 100},
		"both":                        {[]time.Duration{9 * day, day, 0}, AuditConfig{MaxAge: 3 * day, MaxRows: 5999}, 5999},
		"all":                         {[]time.Duration{9 * day}, AuditConfig{MaxAge: day}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := created(t), context.Background()
			for _, age := range c.ages {
				rows := make([]AuditRow, 3000)
				for i := range rows {
					rows[i] = auditRow(i)
					rows[i].At = time.Now().Add(-age)
				}
				must(t, s.putAudit(ctx, rows))
			}
			c.cfg.Sweep = 10 * time.Millisecond
			stop := running(t, NewAudit(s, c.cfg, quiet()))
			eventually(t, fmt.Sprintf("%d rows are left", c.want), func() bool { return countAudit(t, s) == c.want })
			stop()
			if got := countAudit(t, s); got != c.want {
				t.Errorf("rows left at the end: got %d, want %d", got, c.want)
			}
			if newest, err := s.AuditRows(ctx, 1); err != nil || (c.want > 0 && time.Since(newest[0].At) > c.ages[len(c.ages)-1]+time.Hour) {
				t.Errorf("the newest row is %v and %v, want it kept", newest, err)
			}
		})
	}
}

func TestAuditDoesNotStarveChanges(t *testing.T) {
	s, ctx := created(t), context.Background()
	a := NewAudit(s, AuditConfig{}, quiet())
	stop := running(t, a)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i < 40_000; i++ {
			for len(a.queue) > cap(a.queue)/2 {
				time.Sleep(time.Millisecond)
			}
			a.Write(auditRow(i))
		}
	}()
	var worst time.Duration
	changes := 0
	for busy := true; busy; changes++ {
		select {
		case <-done:
			busy = false
		default:
		}
		start := time.Now()
		r, err := s.Begin(ctx, merged(t, current(t, s).Settings, fmt.Sprintf(`{"disp_port":%d}`, 4200+changes%2)), "test", nil)
		must(t, err)
		must(t, s.MarkApplied(ctx, r.Number))
		worst = max(worst, time.Since(start))
	}
	stop()
	if got := countAudit(t, s); got != 40_000 || a.Dropped() != 0 {
		t.Errorf("rows: got %d and %d dropped, want 40000 and 0", got, a.Dropped())
	}
	if changes < 3 || worst > 5*time.Second {
		t.Errorf("changes beside it: got %d, the slowest took %v, want several, each well below 5 s", changes, worst)
	}
	t.Logf("%d changes beside 40000 rows, the slowest took %v", changes, worst)
}

func TestAuditErrorsAreTold(t *testing.T) {
	s := created(t)
	must(t, s.Close())
	if _, err := s.AuditRows(context.Background(), 1); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("on a closed store: got %v, want an error", err)
	}
}

// BenchmarkAudit writes rows through the queue with FULL durability; the last
// row is on disk when the clock stops.
func BenchmarkAudit(b *testing.B) {
	s := created(b)
	a := NewAudit(s, AuditConfig{MaxRows: 1 << 40}, quiet())
	stop := running(b, a)
	row := auditRow(7)
	b.ResetTimer()
	for range b.N {
		a.queue <- row
	}
	stop()
	b.StopTimer()
	if got := countAudit(b, s); got != b.N {
		b.Fatalf("rows: got %d, want %d", got, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
