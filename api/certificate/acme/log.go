package acme

import (
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newZap is a log for certmagic that ends in ours, at level debug: what matters is
// logged here, once.
func newZap(log logrus.FieldLogger) *zap.Logger { return zap.New(core{log: log}) }

// core writes entries of zap to logrus.
type core struct {
	log    logrus.FieldLogger
	fields []zapcore.Field
}

// Enabled leaves out what is for who mends certmagic.
func (core) Enabled(level zapcore.Level) bool { return level >= zapcore.InfoLevel }

// With is a core that adds fields to each entry.
func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.log, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check adds the core to those that write the entry.
func (c core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write writes one entry.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(values)
	}
	c.log.WithFields(values.Fields).Debug("certmagic: " + e.Message)
	return nil
}

// Sync has nothing to do.
func (core) Sync() error { return nil }
