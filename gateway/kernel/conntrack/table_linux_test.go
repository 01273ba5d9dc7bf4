package conntrack_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/tests/lab"
)

func TestRoundTrip(t *testing.T) {
	for _, e := range families() {
		t.Run(e.name, func(t *testing.T) {
			table := open(t, host(t))
			want := e.flow(40000)
			failed, err := table.Inject(t.Context(), []conntrack.Flow{want})
			none(t, failed, err)
			got, err := table.Get(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Same(want) || got.Mark != ours || got.State != conntrack.Established || !got.NATed() {
				t.Errorf("got %+v, want %+v", got, want)
			}
			const bits = conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed | conntrack.SrcNAT | conntrack.DstNAT
			if got.Status&bits != bits {
				t.Errorf("got status %#x, want %#x in it: both ends translated", got.Status, bits)
			}
			if got.Timeout < 200*time.Second || got.Timeout > 300*time.Second {
				t.Errorf("got %s to live, want nearly 300 s", got.Timeout)
			}
			failed, err = table.SetMark(t.Context(), 9, want)
			none(t, failed, err)
			if flows := dump(t, table, conntrack.Filter{}); len(flows) != 1 || flows[0].Mark != 9 || !flows[0].Same(want) {
				t.Errorf("got %+v, want one flow with mark 9", flows)
			}
			failed, err = table.Delete(t.Context(), want)
			none(t, failed, err)
			if flows := dump(t, table, conntrack.Filter{}); len(flows) != 0 {
				t.Errorf("got %+v, want none", flows)
			}
			if _, err := table.Get(t.Context(), want); !errors.Is(err, conntrack.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
			failed, err = table.Delete(t.Context(), want)
			none(t, failed, err)
			if failed, _ := table.SetMark(t.Context(), 9, want); len(failed) != 1 || !errors.Is(failed[0].Err, conntrack.ErrNotFound) {
				t.Errorf("a mark for what is gone: got %v, want ErrNotFound", failed)
			}
		})
	}
}

func TestDumpChooses(t *testing.T) {
	all := families()
	if len(all) < 2 {
		t.Skip("this kernel has no IPv6")
	}
	table := open(t, host(t))
	four, six, other := all[0].flow(1000), all[1].flow(1001), all[0].flow(1002)
	other.Mark = 0x17
	failed, err := table.Inject(t.Context(), []conntrack.Flow{four, six, other})
	none(t, failed, err)
	for _, tt := range []struct {
		name   string
		filter conntrack.Filter
		want   []uint16
	}{
		{"everything", conntrack.Filter{}, []uint16{1000, 1001, 1002}},
		{"IPv4", conntrack.Filter{Family: 4}, []uint16{1000, 1002}},
		{"IPv6", conntrack.Filter{Family: 6}, []uint16{1001}},
		{"a mark", conntrack.Filter{Mark: 0x17, Mask: 0xffffffff}, []uint16{1002}},
		{"some bits", conntrack.Filter{Mark: 7, Mask: 0xf}, []uint16{1000, 1001, 1002}},
		{"bits beyond the mask", conntrack.Filter{Mark: 0x37, Mask: 0xf}, []uint16{1000, 1001, 1002}},
		{"a mark of one family", conntrack.Filter{Mark: 7, Mask: 0xff, Family: 4}, []uint16{1000}},
		{"nothing", conntrack.Filter{Mark: 8, Mask: 8}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint16
			for _, f := range dump(t, table, tt.filter) {
				got = append(got, f.Client().Port())
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestInjectTellsPerFlow(t *testing.T) {
	for _, e := range families() {
		t.Run(e.name, func(t *testing.T) {
			table := open(t, host(t))
			there := e.flow(40000)
			failed, err := table.Inject(t.Context(), []conntrack.Flow{there})
			none(t, failed, err)

			clash := e.flow(40001) // another client's port, and the same port at the VM
			clash.Reply.Dst = there.Reply.Dst
			elsewhere := there // the same client, to another VM
			elsewhere.Reply.Src = netip.AddrPortFrom(e.vm.Next(), 5900)
			noPort := e.flow(40002)
			noPort.Orig.Src = netip.AddrPortFrom(e.client, 0)
			good := e.flow(40003)

			failed, err = table.Inject(t.Context(), []conntrack.Flow{there, clash, elsewhere, noPort, {}, good})
			if err != nil {
				t.Fatal(err)
			}
			want := []struct {
				flow conntrack.Flow
				err  error
			}{{clash, conntrack.ErrClash}, {elsewhere, conntrack.ErrClash}, {noPort, conntrack.ErrInvalid}, {conntrack.Flow{}, conntrack.ErrInvalid}}
			if len(failed) != len(want) {
				t.Fatalf("got %v, want %d failures", failed, len(want))
			}
			for i, w := range want {
				if !errors.Is(failed[i], w.err) || failed[i].Flow != w.flow {
					t.Errorf("got %v, want %v of %s", failed[i], w.err, w.flow.Orig)
				}
			}
			if flows := dump(t, table, conntrack.Filter{}); len(flows) != 2 {
				t.Errorf("got %d flows, want the one that was there and the good one", len(flows))
			}
		})
	}
}

func TestDeleteSparesASuccessor(t *testing.T) {
	table := open(t, host(t))
	f := families()[0].flow(40000)
	failed, err := table.Inject(t.Context(), []conntrack.Flow{f})
	none(t, failed, err)
	old, err := table.Get(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	old.ID++ // as if that one had gone and another had come
	failed, err = table.Delete(t.Context(), old)
	none(t, failed, err)
	if _, err := table.Get(t.Context(), f); err != nil {
		t.Errorf("got %v, want the successor there", err)
	}
}

func TestUntranslatedEndsStaySo(t *testing.T) {
	table := open(t, host(t))
	e := families()[0]
	f := e.flow(40000)
	f.Reply.Dst = f.Orig.Src // the VM sees the client itself
	failed, err := table.Inject(t.Context(), []conntrack.Flow{f})
	none(t, failed, err)
	got, err := table.Get(t.Context(), f)
	if err != nil || !got.Same(f) || got.Status&conntrack.DstNAT == 0 || got.Status&conntrack.SrcNAT != 0 {
		t.Errorf("got %+v and %v, want only the VM translated", got, err)
	}
}

func TestZones(t *testing.T) {
	table := open(t, host(t))
	f := families()[0].flow(40000)
	zoned := f
	zoned.Zone = 3
	failed, err := table.Inject(t.Context(), []conntrack.Flow{f, zoned})
	none(t, failed, err)
	failed, err = table.Delete(t.Context(), f)
	none(t, failed, err)
	if flows := dump(t, table, conntrack.Filter{}); len(flows) != 1 || flows[0].Zone != 3 {
		t.Errorf("got %+v, want the one in zone 3", flows)
	}
}

func TestEndedContextAndClosedTable(t *testing.T) {
	table := open(t, host(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := families()[0].flow(40000)
	if _, err := table.Inject(ctx, []conntrack.Flow{f}); !errors.Is(err, context.Canceled) {
		t.Errorf("Inject: got %v, want context.Canceled", err)
	}
	if _, err := table.Dump(ctx, conntrack.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dump: got %v, want context.Canceled", err)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if err := table.Close(); err != nil {
		t.Errorf("closed twice: got %v, want nil", err)
	}
	if _, err := table.Get(t.Context(), f); err == nil {
		t.Error("got an answer of a closed table, want an error")
	}
}

// TestManyAtOnce goes beyond one batch and one read, all failing and all well.
func TestManyAtOnce(t *testing.T) {
	const n = 20000
	table := open(t, host(t))
	flows := many(families()[0], n)
	failed, err := table.Inject(t.Context(), flows)
	none(t, failed, err)
	failed, err = table.Inject(t.Context(), flows) // all there
	none(t, failed, err)
	if got := dump(t, table, conntrack.Filter{Mark: ours, Mask: ours}); len(got) != n {
		t.Errorf("got %d flows, want %d", len(got), n)
	}
	failed, err = table.Delete(t.Context(), flows...)
	none(t, failed, err)
	if got := dump(t, table, conntrack.Filter{}); len(got) != 0 {
		t.Errorf("got %d flows, want none", len(got))
	}
	failed, err = table.SetMark(t.Context(), 1, flows...) // all gone
	if err != nil || len(failed) != n {
		t.Errorf("got %d failures and %v, want %d", len(failed), err, n)
	}
}

// TestAnswersThatGetLostAreAskedForAgain has room for a few answers only.
func TestAnswersThatGetLostAreAskedForAgain(t *testing.T) {
	const n = 300
	table := open(t, host(t))
	if err := table.Narrow(); err != nil {
		t.Fatal(err)
	}
	flows := many(families()[0], n)
	for range 2 { // made, and there already
		failed, err := table.Inject(t.Context(), flows)
		none(t, failed, err)
	}
	if got := dump(t, table, conntrack.Filter{}); len(got) != n {
		t.Errorf("got %d flows, want %d", len(got), n)
	}
}

// many are flows of many clients.
func many(e ends, n int) []conntrack.Flow {
	flows := make([]conntrack.Flow, n)
	for i := range flows {
		f := e.flow(uint16(20000 + i))
		f.Orig.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), uint16(20000+i))
		flows[i] = f
	}
	return flows
}

var (
	afterTuples = regexp.MustCompile(`(?m)( \[ASSURED\])? mark=.*$`)
	seconds     = regexp.MustCompile(`^(\S+ +\d+ +tcp +6) \d+ `)
	spaces      = regexp.MustCompile(` +`)
	counts      = regexp.MustCompile(` (packets|bytes)=\d+`)
)

// listed is how the tool lists a flow, without what changes.
func listed(f conntrack.Flow) string {
	side := func(t conntrack.Tuple) string {
		return fmt.Sprintf("src=%s dst=%s sport=%d dport=%d", t.Src.Addr(), t.Dst.Addr(), t.Src.Port(), t.Dst.Port())
	}
	name, number := "ipv4", 2
	if f.Client().Addr().Is6() {
		name, number = "ipv6", 10
	}
	return fmt.Sprintf("%s %d tcp 6 %s %s %s mark=%d", name, number, f.State, side(f.Orig), side(f.Reply), f.Mark)
}

// toolList is what the tool lists.
func toolList(t *testing.T, h *lab.Host, family string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(tool(t, h, "conntrack", "-L", "-f", family, "-o", "extended", "-p", "tcp")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "ipv") {
			continue
		}
		mark := regexp.MustCompile(`mark=\d+`).FindString(line)
		line = counts.ReplaceAllString(afterTuples.ReplaceAllString(seconds.ReplaceAllString(line, "$1 "), ""), "")
		lines = append(lines, spaces.ReplaceAllString(line, " ")+" "+mark)
	}
	return lines
}

func TestToolSeesTheSame(t *testing.T) {
	for _, e := range families() {
		t.Run(e.name, func(t *testing.T) {
			h := host(t)
			table := open(t, h)
			f, family := e.flow(40000), strings.ToLower(e.name)
			failed, err := table.Inject(t.Context(), []conntrack.Flow{f})
			none(t, failed, err)
			f.State = conntrack.Established
			if got, want := toolList(t, h, family), []string{listed(f)}; !slices.Equal(got, want) {
				t.Errorf("injected by us:\ngot  %q\nwant %q", got, want)
			}
			tool(t, h, "conntrack", "-D", "-f", family, "-p", "tcp", "--orig-port-src", "40000")
			if flows := dump(t, table, conntrack.Filter{}); len(flows) != 0 {
				t.Errorf("deleted by the tool: got %+v, want none", flows)
			}
			at := func(a netip.Addr) string { return a.String() }
			tool(t, h, "conntrack", "-I", "-p", "tcp", "-s", at(e.client), "-d", at(e.virtual), "--sport", "41000", "--dport", "5901",
				"-r", at(e.virtual), "-q", at(e.client), "--reply-port-src", "5901", "--reply-port-dst", "41000",
				"--state", "ESTABLISHED", "-t", "300", "-u", "SEEN_REPLY,ASSURED", "-m", "5")
			flows := dump(t, table, conntrack.Filter{})
			if len(flows) != 1 {
				t.Fatalf("inserted by the tool: got %+v, want one", flows)
			}
			if got, want := toolList(t, h, family), []string{listed(flows[0])}; !slices.Equal(got, want) || flows[0].NATed() {
				t.Errorf("inserted by the tool:\ngot  %q\nwant %q, untranslated", got, want)
			}
			failed, err = table.SetMark(t.Context(), 6, flows...)
			none(t, failed, err)
			if got := toolList(t, h, family); len(got) != 1 || !strings.HasSuffix(got[0], "mark=6") {
				t.Errorf("marked by us: got %q, want mark=6", got)
			}
			failed, err = table.Delete(t.Context(), flows...)
			none(t, failed, err)
			if got := toolList(t, h, family); len(got) != 0 {
				t.Errorf("deleted by us: got %q, want none", got)
			}
		})
	}
}

func BenchmarkInject20000(b *testing.B) {
	table := open(b, host(b))
	flows := many(families()[0], 20000)
	for b.Loop() {
		failed, err := table.Inject(b.Context(), flows)
		none(b, failed, err)
		b.StopTimer()
		failed, err = table.Delete(b.Context(), flows...)
		none(b, failed, err)
		b.StartTimer()
	}
}

func BenchmarkDump20000(b *testing.B) {
	table := open(b, host(b))
	failed, err := table.Inject(b.Context(), many(families()[0], 20000))
	none(b, failed, err)
	for b.Loop() {
		if got := dump(b, table, conntrack.Filter{Mark: ours, Mask: 0xff}); len(got) != 20000 {
			b.Fatalf("got %d flows, want 20000", len(got))
		}
	}
}
