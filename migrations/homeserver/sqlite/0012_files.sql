-- Files that users of this server have sent: ciphertext by its own BLAKE3 hash, in parts.
CREATE TABLE file (
    file BLOB NOT NULL CHECK (length(file) = 32),
    -- Who has put it: what is not whole yet is in nobody else's way.
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    -- The number of this beginning among all of the user's: another one, even under the same name, is another file.
    begun INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- So many bytes are there.
    have INTEGER NOT NULL,
    -- All of them are, and their hash is its name.
    whole INTEGER NOT NULL,
    -- When the last part came.
    at INTEGER NOT NULL,
    PRIMARY KEY (file, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_by_user ON file (user_id, whole);
CREATE INDEX file_by_age ON file (whole, at);

-- What the files of a user count, so that nobody sums them up for each that is begun, and how many have begun.
CREATE TABLE file_use (
    user_id BLOB NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    bytes INTEGER NOT NULL,
    begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE file_part (
    file BLOB NOT NULL,
    user_id BLOB NOT NULL,
    -- Where the part begins.
    start INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (file, user_id, start),
    FOREIGN KEY (file, user_id) REFERENCES file (file, user_id) ON DELETE CASCADE
) STRICT;
