package main

import (
	"encoding/json"
	"fmt"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// atRest is a ticket's row as the database keeps it: how its VM is entered is sealed.
func (t *ticketStore) atRest(row settingsdb.TicketRow) (settingsdb.TicketRow, error) {
	var b ticketBody
	if err := json.Unmarshal(row.Body, &b); err != nil {
		return row, err
	}
	if b.Desktop.User == "" && b.Desktop.Password == "" {
		return row, nil
	}
	plain, err := json.Marshal(b.Desktop) //nolint:gosec // it is sealed below
	if err != nil {
		return row, err
	}
	b.Desktop = gateway.Desktop{}
	if b.Sealed, err = t.vault.seal(row.Hash[:], plain); err != nil {
		return row, err
	}
	row.Body, err = json.Marshal(b)
	return row, err
}

// awake undoes atRest. err comes first: it is that of reading the row.
func (t *ticketStore) awake(row settingsdb.TicketRow, err error) (settingsdb.TicketRow, error) {
	if err != nil {
		return row, err
	}
	var b ticketBody
	if err := json.Unmarshal(row.Body, &b); err != nil || b.Sealed == nil {
		return row, err
	}
	plain, err := t.vault.open(row.Hash[:], b.Sealed)
	if err != nil {
		return row, fmt.Errorf("how the VM of ticket %s is entered cannot be read: %w", row.ID, err)
	}
	b.Sealed = nil
	if err := json.Unmarshal(plain, &b.Desktop); err != nil {
		return row, err
	}
	row.Body, err = json.Marshal(b)
	return row, err
}
