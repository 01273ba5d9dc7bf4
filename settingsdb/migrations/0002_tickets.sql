-- expires_at is in microseconds since 1970; uses counts down to 0.
CREATE TABLE tickets (
    hash        BLOB PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    body        BLOB NOT NULL,
    user        TEXT NOT NULL,
    vm_address  TEXT NOT NULL,
    client_addr TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    uses        INTEGER NOT NULL,
    max_uses    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_expiry ON tickets (expires_at, uses);
