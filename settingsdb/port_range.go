package settingsdb

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a range of ports, both ends included.
type PortRange struct {
	First, Last uint16
}

// ParsePorts reads an entry of targets.ports: "N" or "A-B" with A <= B.
func ParsePorts(text string) (PortRange, error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok1 := portNumber(low)
	last, ok2 := portNumber(high)
	if !ok1 || !ok2 || first > last {
		return PortRange{}, fmt.Errorf(`must be a port or a range such as "3389" or "5900-5999", is %s`, quoted(text))
	}
	return PortRange{First: first, Last: last}, nil
}

func portNumber(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0
}
