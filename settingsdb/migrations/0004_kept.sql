-- Connections whose sessions outlive the process (forwarding "kernel"). value is the
-- gateway's own affair; expires_at is in microseconds since 1970, 0 is never.
CREATE TABLE kept (
    id         TEXT PRIMARY KEY,
    value      BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
