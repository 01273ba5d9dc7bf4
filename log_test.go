package main

import (
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

func TestJournalField(t *testing.T) {
	for name, want := range map[string]string{
		"client": "CLIENT", "vm_port": "VM_PORT", "api-port": "API_PORT", "__hidden": "HIDDEN", "a.b 9": "A_B_9", "größe": "GR__E",
	} {
		if got := journalField(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// Who reads plain journalctl sees the fields, too, and no level or time twice.
func TestJournalMessage(t *testing.T) {
	e := &logrus.Entry{
		Logger: logrus.New(), Time: time.Now(), Level: logrus.WarnLevel, Message: "session closed",
		Data: logrus.Fields{"client": "203.0.113.7", "reason": "vm closed", "key": settingsdb.Secret("secret-key"), "token": gateway.Secret("secret-token")},
	}
	got := journalMessage(e)
	if want := `session closed client=203.0.113.7 key=redacted reason="vm closed" token=redacted`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Data = nil
	if got := journalMessage(e); got != "session closed" {
		t.Errorf("without fields: got %q, want the message alone", got)
	}
}

func TestJournalPriority(t *testing.T) {
	for level, want := range map[logrus.Level]journal.Priority{
		logrus.PanicLevel: journal.PriCrit, logrus.FatalLevel: journal.PriCrit, logrus.ErrorLevel: journal.PriErr,
		logrus.WarnLevel: journal.PriWarning, logrus.InfoLevel: journal.PriInfo, logrus.DebugLevel: journal.PriDebug,
	} {
		if got := journalPriority(level); got != want {
			t.Errorf("%s: got %d, want %d", level, got, want)
		}
	}
}

func TestLogLevel(t *testing.T) {
	if _, err := newLog("loud"); err == nil || !strings.Contains(err.Error(), "--log-level") {
		t.Errorf("got %v, want an error that names --log-level", err)
	}
	log, err := newLog("warn")
	if err != nil || log.IsLevelEnabled(logrus.InfoLevel) || !log.IsLevelEnabled(logrus.WarnLevel) {
		t.Errorf("got %v and level %s, want warn", err, log.Level)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1500: "1.5 kB", 8_000_000: "8.0 MB", 2_340_000_000: "2.3 GB", 9e15: "9.0 PB", 9e18: "9000.0 PB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
