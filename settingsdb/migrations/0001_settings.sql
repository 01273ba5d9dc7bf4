-- The one row that operators and the original's tools read. Nothing but the
-- JSON stands in it, so that "select * from settings" prints the document.
CREATE TABLE settings (document TEXT NOT NULL);
CREATE UNIQUE INDEX settings_one_row ON settings ((1));
CREATE TRIGGER settings_stay BEFORE DELETE ON settings
BEGIN
    SELECT RAISE(ABORT, 'the settings row cannot be deleted');
END;

-- Every revision that was tried. The newest one in state applied is in force.
CREATE TABLE history (
    revision    INTEGER PRIMARY KEY,
    document    TEXT NOT NULL,
    author      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'applied', 'rejected', 'superseded', 'rolled_back')),
    reason      TEXT NOT NULL DEFAULT '',
    rollback_at TEXT,
    previous    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX history_by_state ON history (state, revision);

CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
