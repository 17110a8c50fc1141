-- Messages that do not stay, once their time runs: all of their columns say is when something was written that is gone at a time.

CREATE TABLE expiring (
    -- The message's.
    position INTEGER PRIMARY KEY,
    -- When it is forgotten, in milliseconds since 1970; 0 while nobody has counted from now.
    due INTEGER NOT NULL
) STRICT;
CREATE INDEX expiring_by_due ON expiring (due);
