CREATE TABLE fork (
    -- A chain of which its hub has signed two histories.
    chain BLOB NOT NULL PRIMARY KEY CHECK (length(chain) = 32),
    community BLOB NOT NULL CHECK (length(community) = 32),
    -- The proof, encoded. It stays, whatever becomes of the community.
    proof BLOB NOT NULL,
    found INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX fork_by_community ON fork (community);

-- The hub's record, which shows that the head is its word; absent for what was copied before this was kept.
ALTER TABLE copied_head ADD COLUMN record BLOB;

-- The peer that had us store the chain; absent when that was their home.
ALTER TABLE foreigner ADD COLUMN brought TEXT;
CREATE INDEX foreigner_by_bringer ON foreigner (COALESCE(brought, peer));
