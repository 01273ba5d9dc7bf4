package vrrp

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
	announcers
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
	if err == nil && l.lacks == "" { // else it only listens
		w.announcers, err = openAnnouncers(c.places(l))
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return w, nil
}

func (w *linuxWire) close() {
	w.adverts.close()
	w.announcers.close()
}
