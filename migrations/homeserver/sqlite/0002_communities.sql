CREATE TABLE community (
    community BLOB NOT NULL PRIMARY KEY CHECK (length(community) = 32),
    -- 1 a community, 2 a group.
    kind INTEGER NOT NULL,
    founder BLOB NOT NULL CHECK (length(founder) = 32),
    -- As the log has it.
    owner BLOB NOT NULL CHECK (length(owner) = 32),
    -- The administrator lets nobody change it.
    frozen INTEGER NOT NULL,
    -- It has ended; its id is never given again.
    deleted INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX community_by_owner ON community (owner);

CREATE TABLE community_chain (
    -- A log, or the chain of a channel.
    chain BLOB NOT NULL PRIMARY KEY REFERENCES chain (chain) ON DELETE CASCADE,
    community BLOB NOT NULL REFERENCES community (community),
    -- Absent for the log.
    channel INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX community_chain_by_community ON community_chain (community);

CREATE TABLE membership (
    -- What the log says, for those who ask about users and not about communities.
    community BLOB NOT NULL REFERENCES community (community),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    -- 1 member, 2 invited, 3 asking, 4 only named in the log.
    standing INTEGER NOT NULL CHECK (standing IN (1, 2, 3, 4)),
    PRIMARY KEY (community, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_by_user ON membership (user_id, community, standing);

CREATE TABLE sender_key (
    chain BLOB NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    sender_key BLOB NOT NULL CHECK (length(sender_key) = 16),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    device BLOB NOT NULL CHECK (length(device) = 32),
    channel INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    -- The head of the user's chain at which the device announced it.
    head_seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),
    -- The least index that the next message may have.
    next_index INTEGER NOT NULL,
    PRIMARY KEY (chain, sender_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_read (
    chain BLOB NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    -- Read through this place.
    seq INTEGER NOT NULL,
    PRIMARY KEY (chain, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
    -- No reference to the community: wraps come before what creates it.
    community BLOB NOT NULL CHECK (length(community) = 32),
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    -- Who puts it: what is not whole yet is in nobody else's way.
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    size INTEGER NOT NULL,
    -- So many bytes are there; all of them, and checked, when it is the size.
    have INTEGER NOT NULL,
    -- A statement names it.
    named INTEGER NOT NULL,
    -- When the last part came.
    at INTEGER NOT NULL,
    PRIMARY KEY (community, blob, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_unnamed ON blob (at) WHERE NOT named;
CREATE INDEX blob_by_user ON blob (user_id) WHERE NOT named;

CREATE TABLE blob_part (
    community BLOB NOT NULL,
    blob BLOB NOT NULL,
    user_id BLOB NOT NULL,
    -- Where the part begins.
    start INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (community, blob, user_id, start),
    FOREIGN KEY (community, blob, user_id) REFERENCES blob (community, blob, user_id) ON DELETE CASCADE
) STRICT;
