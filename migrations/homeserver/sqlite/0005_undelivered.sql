CREATE TABLE undelivered (
    -- What came back to a device when its peer was removed: there is no queue any more that it could stand in.
    sender BLOB NOT NULL CHECK (length(sender) = 32),
    item BLOB NOT NULL CHECK (length(item) = 16),
    device BLOB NOT NULL CHECK (length(device) = 32),
    receiver BLOB NOT NULL CHECK (length(receiver) = 32),
    -- The peer's name, and the place in its queue.
    peer TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    -- Why it came back, encoded.
    returned BLOB NOT NULL,
    PRIMARY KEY (sender, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX undelivered_by_device ON undelivered (sender, device);
