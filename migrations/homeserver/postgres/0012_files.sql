-- Files that users of this server have sent: ciphertext by its own BLAKE3 hash, in parts.
CREATE TABLE file (
    file BYTEA NOT NULL CHECK (length(file) = 32),
    -- Who has put it: what is not whole yet is in nobody else's way.
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    -- The number of this beginning among all of the user's: another one, even under the same name, is another file.
    begun BIGINT NOT NULL,
    size BIGINT NOT NULL,
    -- So many bytes are there.
    have BIGINT NOT NULL,
    -- All of them are, and their hash is its name.
    whole BOOLEAN NOT NULL,
    -- When the last part came.
    at BIGINT NOT NULL,
    PRIMARY KEY (file, user_id)
);
CREATE INDEX file_by_user ON file (user_id, whole);
CREATE INDEX file_by_age ON file (whole, at);

-- What the files of a user count, so that nobody sums them up for each that is begun, and how many have begun.
CREATE TABLE file_use (
    user_id BYTEA NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    bytes BIGINT NOT NULL,
    begun BIGINT NOT NULL
);

CREATE TABLE file_part (
    file BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    -- Where the part begins.
    start BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (file, user_id, start),
    FOREIGN KEY (file, user_id) REFERENCES file (file, user_id) ON DELETE CASCADE
);
