package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// generation is the number of changes that anybody has made to nftables in this
// network namespace. The library does not ask for it.
func generation() (uint32, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("open a socket to nftables: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return 0, err
	}
	const header = 4 // family, version and resource, all 0
	reply, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   make([]byte, header),
	})
	if errors.Is(err, os.ErrPermission) {
		return 0, notAllowed(err)
	}
	if err != nil {
		return 0, fmt.Errorf("ask nftables for its generation: %w", err)
	}
	if len(reply) == 0 || len(reply[0].Data) < header {
		return 0, errors.New("nftables tells no generation")
	}
	attributes, err := netlink.NewAttributeDecoder(reply[0].Data[header:])
	if err != nil {
		return 0, err
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		if attributes.Type() == unix.NFTA_GEN_ID {
			return attributes.Uint32(), nil
		}
	}
	return 0, errors.Join(errors.New("nftables tells no generation"), attributes.Err())
}
