-- at and duration are in microseconds, at since 1970. There is no index beside
-- the key: rows arrive in time order and leave from the old end.
CREATE TABLE audit (
    id            INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    event         TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    node          TEXT NOT NULL,
    user          TEXT NOT NULL,
    verified      INTEGER NOT NULL,
    vm_id         TEXT NOT NULL,
    vm_address    TEXT NOT NULL,
    vm_port       INTEGER NOT NULL,
    protocol      TEXT NOT NULL,
    client_addr   TEXT NOT NULL,
    port          INTEGER NOT NULL,
    mode          TEXT NOT NULL,
    bytes_up      INTEGER NOT NULL,
    bytes_down    INTEGER NOT NULL,
    duration      INTEGER NOT NULL,
    reason        TEXT NOT NULL
);
