-- Files on their way: to the home, before the message that they go with, or off it.
CREATE TABLE transfer (
    -- The order in which they go.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The message in the outbox or among the posts that waits for it, by the key that it has there; a file that is to be dropped, hashed.
    item BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
) STRICT;
