-- Since when nobody here has to do with a copy; absent while somebody does, and for what this server orders. A copy that is deleted, too, is
-- being dropped.
ALTER TABLE community ADD COLUMN unused_since INTEGER;
CREATE INDEX community_unused ON community (unused_since) WHERE unused_since IS NOT NULL;

CREATE TABLE dropped_copy (
    -- A community that was copied, whose copy nobody needed any more.
    community BLOB NOT NULL PRIMARY KEY CHECK (length(community) = 32),
    -- The peer that orders it.
    hub TEXT NOT NULL,
    -- Its log was here through this place: nobody here has to do with it by anything up to there.
    seq INTEGER NOT NULL CHECK (seq >= 0),
    -- The hub has been told.
    told INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dropped_copy_untold ON dropped_copy (hub) WHERE NOT told;
