package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/sirupsen/logrus"
)

// newLog writes to the journal with fields when stderr is the journal, else
// readable text to stderr.
func newLog(level string) (*logrus.Logger, error) {
	l, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	log := logrus.New()
	log.SetLevel(l)
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	if toJournal, err := journal.StderrIsJournalStream(); err == nil && toJournal {
		log.SetOutput(io.Discard)
		log.AddHook(journalHook{})
	}
	return log, nil
}

// journalHook sends entries with their fields to journald.
type journalHook struct{}

// Levels are all: the logger has filtered already.
func (journalHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire sends one entry. What a reader of plain journalctl must see is in the
// message; the fields are there to search by.
func (journalHook) Fire(e *logrus.Entry) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "vdi-gateway"}
	for k, v := range e.Data {
		fields[journalField(k)] = fmt.Sprint(v)
	}
	if err := journal.Send(journalMessage(e), journalPriority(e.Level), fields); err != nil {
		fmt.Fprintln(os.Stderr, e.Message)
	}
	return nil
}

// journalField makes a name journald accepts: upper case letters, digits and
// underscores, not beginning with an underscore.
func journalField(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		default:
			return '_'
		}
	}, strings.TrimLeft(name, "_"))
}

// journalMessage appends the fields to the message as text does, so that
// journalctl --follow tells the story.
func journalMessage(e *logrus.Entry) string {
	text := logrus.TextFormatter{DisableColors: true, DisableTimestamp: true, DisableQuote: false}
	bare := &logrus.Entry{Logger: e.Logger, Data: e.Data, Level: e.Level, Time: e.Time}
	line, err := text.Format(bare)
	if err != nil {
		return e.Message
	}
	rest := strings.TrimPrefix(strings.TrimSpace(string(line)), "level="+e.Level.String())
	return strings.TrimSpace(e.Message + " " + strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), `msg=""`)))
}

func journalPriority(l logrus.Level) journal.Priority {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return journal.PriCrit
	case logrus.ErrorLevel:
		return journal.PriErr
	case logrus.WarnLevel:
		return journal.PriWarning
	case logrus.InfoLevel:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}
