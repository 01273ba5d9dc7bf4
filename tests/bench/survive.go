package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
)

const (
	surviveTime = 12 * time.Minute
	// talks are the sessions of a contender, talkClients the addresses that they come from.
	talks       = 1000
	talkClients = 40
	talkEvery   = 50 * time.Millisecond
	// talkTime is how long all talk before their node dies.
	talkTime = time.Second
	// lostStall is entered as the stall of a session that is lost.
	lostStall = 10 * time.Second
)

// surviveKinds are the figures of one contender.
var surviveKinds = []struct{ name, unit string }{
	{"survive.lost", "1"}, {"survive.stall_median", "ms"}, {"survive.stall_p99", "ms"}, {"survive.stall_worst", "ms"},
}

// surviveFigures are those at the usual interval, and at half of it.
func surviveFigures() (all []figure.Figure) {
	for _, k := range surviveKinds {
		for _, name := range []string{"haproxy_keepalived", "proxy_mode"} {
			all = append(all, figure.Figure{Name: k.name, Peer: name, Unit: k.unit})
		}
	}
	for _, k := range surviveKinds {
		all = append(all, figure.Figure{Name: k.name + "_50", Peer: "haproxy_keepalived", Unit: k.unit})
	}
	return all
}

// survive is the setting: the networks of failover, with sessions.
type survive struct{ failover }

// benchSurvive measures what becomes of sessions whose node dies. An error means that
// words got mixed up, or nothing could be measured.
func benchSurvive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, surviveTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &survive{failover{sheet: figure.NewSheet(os.Stdout, surviveFigures()...), dir: dir}}
	err = s.measure(ctx)
	if errors.Is(err, errWrong) {
		s.sheet.Void(err)
		return err
	}
	if err != nil {
		s.sheet.Missing(err)
	}
	s.sheet.Print(strings.Join([]string{figure.Machine(time.Now()), peer.KeepalivedVersion(), peer.HAProxyVersion()}, ", "))
	if errors.Is(err, lab.ErrNotAllowed) {
		return nil
	}
	return err
}

func (s *survive) measure(ctx context.Context) (err error) {
	if err := allowDescriptors(); err != nil {
		return err
	}
	if s.binary, err = builtRelay(ctx, s.sheet, s.dir); err != nil {
		return err
	}
	return figure.Rounds(ctx, func(round, of int) error {
		s.sheet.Progress("round %d of %d", round+1, of)
		return s.round(ctx, round, phase(round, of))
	})
}

// round has every contender's node die once.
func (s *survive) round(ctx context.Context, round int, phase float64) error {
	all := s.victims()
	values := map[string][]float64{}
	for i := range all {
		v := all[(round+i)%len(all)]
		o, err := s.outlived(ctx, v, phase)
		if err != nil {
			return err
		}
		values[v.name] = o
	}
	for i, k := range surviveKinds {
		for _, name := range []string{"haproxy_keepalived", "proxy_mode"} {
			s.sheet.Add(figure.Figure{Name: k.name, Peer: name, Unit: k.unit}, values["kernel"][i], values[name][i])
		}
		s.sheet.Add(figure.Figure{Name: k.name + "_50", Peer: "haproxy_keepalived", Unit: k.unit}, values["kernel_50"][i], values["haproxy_keepalived"][i])
	}
	return nil
}

// outlived is what became of the sessions of one contender, in the order of surviveKinds.
func (s *survive) outlived(ctx context.Context, v victim, phase float64) (values []float64, err error) {
	err = s.tried(ctx, v.name, func() error {
		return s.with(ctx, v.rival, v.interval, func(p *pair) error {
			all, lost, err := p.outlive(ctx, v, time.Duration(phase*float64(v.interval)))
			if err != nil {
				return err
			}
			stalls := stallsOf(all)
			values = append([]float64{float64(lost)}, stalls[:]...)
			s.sheet.Progress("  %s: the address moved after %d ms", v.name, p.takeover.Milliseconds())
			return nil
		})
	})
	if err == nil {
		s.sheet.Progress("  %s: %.0f of %d lost, stall %.0f ms, p99 %.0f, worst %.0f", v.name, values[0], talks, values[1], values[2], values[3])
	}
	return values, err
}
