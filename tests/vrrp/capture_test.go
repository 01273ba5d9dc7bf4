package vrrp

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/packet"

	"vdi-gateway/tests/lab"
	product "vdi-gateway/vrrp"
)

const (
	everyProtocol = 3 // ETH_P_ALL
	frameMax      = 64 << 10
	pcapMagic     = 0xa1b2c3d4
	pcapEthernet  = 1
)

// fields are what is taken of each packet.
var fields = []string{
	"_ws.col.Protocol", "_ws.expert.message", "ip.dst", "ipv6.dst", "ip.ttl", "ipv6.hlim",
	"vrrp.version", "vrrp.type", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.adver_int", "vrrp.short_adver_int",
	"vrrp.auth_type", "vrrp.checksum.status", "vrrp.ip_addr", "vrrp.ipv6_addr",
}

// decoded is one packet by the names of its fields.
type decoded map[string]string

// capture records what arrives at a host, in the form of pcap.
type capture struct {
	r    *rig
	mu   sync.Mutex
	file bytes.Buffer
	ends bool // somebody has resigned
}

// capture records until the test ends.
func (r *rig) capture(h *lab.Host) *capture {
	r.t.Helper()
	c := &capture{r: r}
	for _, word := range []uint32{pcapMagic, 2 | 4<<16, 0, 0, frameMax, pcapEthernet} { // version 2.4
		c.file.Write(binary.LittleEndian.AppendUint32(nil, word))
	}
	var conn *packet.Conn
	r.try(h.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err == nil {
			conn, err = packet.Listen(link, packet.Raw, everyProtocol, nil)
		}
		return err
	}))
	r.t.Cleanup(func() { _ = conn.Close() })
	go c.record(conn)
	return c
}

func (c *capture) record(conn *packet.Conn) {
	b := make([]byte, frameMax)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		now := time.Now()
		c.mu.Lock()
		for _, word := range []int{int(now.Unix()), now.Nanosecond() / 1000, n, n} {
			c.file.Write(binary.LittleEndian.AppendUint32(nil, uint32(word)))
		}
		c.file.Write(b[:n])
		c.ends = c.ends || resigns(b[:n])
		c.mu.Unlock()
	}
}

// resigns tells whether a frame is an advertisement of priority 0.
func resigns(frame []byte) bool {
	const ethernet, ip4, ip6, protocol4, protocol6, priority = 14, 20, 40, 9, 6, 2
	at := func(i int) int {
		if i < len(frame) {
			return int(frame[i])
		}
		return -1
	}
	switch at(ethernet) >> 4 {
	case 4: // without options
		return at(ethernet+protocol4) == product.Protocol && at(ethernet+ip4+priority) == 0
	case 6:
		return at(ethernet+protocol6) == product.Protocol && at(ethernet+ip6+priority) == 0
	}
	return false
}

// ended tells whether it has seen somebody resign.
func (c *capture) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends
}

// decode has tshark decode VRRP and what announces addresses, with a preference of it.
func (c *capture) decode(preference string) (list []decoded) {
	c.r.t.Helper()
	path := filepath.Join(c.r.t.TempDir(), "capture.pcap")
	c.mu.Lock()
	err := os.WriteFile(path, c.file.Bytes(), 0o600)
	c.mu.Unlock()
	c.r.try(err)
	args := []string{"-n", "-r", path, "-Y", "vrrp or arp or icmpv6", "-T", "fields", "-E", "separator=|"}
	if preference != "" {
		args = append(args, "-o", preference)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.CommandContext(soon(c.r.t), "tshark", args...).Output()
	c.r.try(err)
	for line := range strings.Lines(string(out)) {
		p := decoded{}
		for i, value := range strings.Split(strings.TrimSuffix(line, "\n"), "|") {
			p[fields[i]] = value
		}
		list = append(list, p)
	}
	return list
}
