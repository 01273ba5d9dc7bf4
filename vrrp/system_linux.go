package vrrp

import (
	"net"
	"net/netip"
)

// linux is the host this process runs on. The guard is started with a command line.
func linux(guard []string) system {
	return system{
		look:  lookAt,
		watch: watchLinks,
		open:  openWire,
		guard: func() keeper { return newKernelKeeper(guard) },
		alarm: func() (alarm, error) { return newKernelAlarm() },

		uptime: uptime,
	}
}

// linuxWire is a wire of sockets.
type linuxWire struct {
	*adverts
	announcer *announcer
}

func openWire(c Config, l link) (wire, error) {
	a, err := openAdverts(l.name, l.source)
	if err != nil {
		return nil, err
	}
	w := &linuxWire{adverts: a}
	if len(c.Peers) == 0 {
		err = a.join(c.targets()[0])
	}
	if err == nil {
		var ifi *net.Interface
		if ifi, err = net.InterfaceByIndex(l.index); err == nil {
			w.announcer, err = openAnnouncer(ifi, c.Addrs)
		}
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return w, nil
}

func (w *linuxWire) announce(list []netip.Prefix) error { return w.announcer.announce(list) }

func (w *linuxWire) close() {
	w.adverts.close()
	w.announcer.close()
}
