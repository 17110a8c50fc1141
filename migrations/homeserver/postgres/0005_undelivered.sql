CREATE TABLE undelivered (
    -- What came back to a device when its peer was removed: there is no queue any more that it could stand in.
    sender BYTEA NOT NULL CHECK (length(sender) = 32),
    item BYTEA NOT NULL CHECK (length(item) = 16),
    device BYTEA NOT NULL CHECK (length(device) = 32),
    receiver BYTEA NOT NULL CHECK (length(receiver) = 32),
    -- The peer's name, and the place in its queue.
    peer TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number > 0),
    at BIGINT NOT NULL,
    -- Why it came back, encoded.
    returned BYTEA NOT NULL,
    PRIMARY KEY (sender, item)
);
CREATE INDEX undelivered_by_device ON undelivered (sender, device);
