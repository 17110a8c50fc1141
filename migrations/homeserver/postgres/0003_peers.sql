CREATE TABLE peer (
    -- Another homeserver.
    name TEXT NOT NULL PRIMARY KEY,
    -- Where it is dialled; absent for one that only dials.
    address TEXT,
    -- The pinned root; absent for a name that is only blocked.
    root BYTEA CHECK (length(root) = 32),
    -- 1 active, 2 paused, 3 blocked.
    standing BIGINT NOT NULL CHECK (standing IN (1, 2, 3)),
    -- The root that it showed instead: it is in quarantine.
    offered BYTEA CHECK (length(offered) = 32),
    -- The number of the newest record that it showed.
    record BIGINT NOT NULL CHECK (record >= 0),
    -- The last number that was given in its queue.
    last BIGINT NOT NULL DEFAULT 0,
    added BIGINT NOT NULL
);

CREATE TABLE peer_root (
    -- Every root that a peer was known by here: the chains of its users begin with one of them.
    root BYTEA NOT NULL PRIMARY KEY CHECK (length(root) = 32),
    peer TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE
);
CREATE INDEX peer_root_by_peer ON peer_root (peer);

CREATE TABLE peer_reader (
    -- A user of this server whose chain a peer may read, because they have to do with somebody there.
    peer TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE,
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    PRIMARY KEY (peer, user_id)
);

CREATE TABLE foreigner (
    -- A user of another server, of whose chain there is a copy.
    user_id BYTEA NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    -- Their home; it stays when the peer is removed.
    peer TEXT NOT NULL,
    name TEXT,
    -- Their home's word for where the chain stands, encoded.
    head BYTEA
);
CREATE INDEX foreigner_by_peer ON foreigner (peer, user_id);

CREATE TABLE outbound (
    -- What must arrive at a peer.
    peer TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE,
    number BIGINT NOT NULL CHECK (number > 0),
    sender BYTEA NOT NULL CHECK (length(sender) = 32),
    -- Whose device wants to know what becomes of it.
    device BYTEA CHECK (length(device) = 32),
    item BYTEA NOT NULL CHECK (length(item) = 16),
    -- To whom, where that is a user by id.
    receiver BYTEA CHECK (length(receiver) = 32),
    -- What has one lane is handed over in its order.
    lane BYTEA NOT NULL CHECK (length(lane) = 32),
    at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    -- Why it has come back, encoded; absent while it is to be handed over.
    returned BYTEA,
    -- Why it waits, for people.
    reason TEXT,
    size BIGINT NOT NULL CHECK (size >= 0),
    content BYTEA NOT NULL,
    PRIMARY KEY (peer, number)
);
CREATE UNIQUE INDEX outbound_by_item ON outbound (sender, item);
CREATE INDEX outbound_by_lane ON outbound (peer, lane, not_before) WHERE returned IS NULL;
CREATE INDEX outbound_returned ON outbound (peer, lane) WHERE returned IS NOT NULL;
CREATE INDEX outbound_by_device ON outbound (sender, device, number);
