CREATE TABLE stranger (
    -- A peer that no administrator has named: it came by itself, and was let in as anybody is.
    peer TEXT NOT NULL PRIMARY KEY REFERENCES peer (name) ON DELETE CASCADE,
    -- When it was reached last.
    reached BIGINT NOT NULL
);
