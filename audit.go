package main

import (
	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// record writes an event of the gateway to the audit table, and counts it. A client whose VM
// could not be reached is a close without an open.
func (a *app) record(e gateway.Event) {
	row := settingsdb.AuditRow{
		At: e.At, Event: "close", ConnectionID: string(e.ID), Node: addrText(e.Node),
		User: e.User, Verified: e.Verified, VMID: e.VMID, VMAddress: e.VMAddr, VMPort: int(e.VMPort),
		Protocol: string(e.Protocol), ClientAddr: addrText(e.Client), Port: int(e.Port), Mode: string(e.Mode),
		BytesUp: e.BytesUp, BytesDown: e.BytesDown, Duration: e.Duration, Reason: string(e.Reason),
	}
	if e.Kind == gateway.EventOpen {
		row.Event = "open"
	} else {
		a.statistics.Closed(string(e.Reason))
	}
	a.audit.Write(row)
}
