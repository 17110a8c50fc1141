CREATE TABLE community (
    community BYTEA NOT NULL PRIMARY KEY CHECK (length(community) = 32),
    -- 1 a community, 2 a group.
    kind BIGINT NOT NULL,
    founder BYTEA NOT NULL CHECK (length(founder) = 32),
    -- As the log has it.
    owner BYTEA NOT NULL CHECK (length(owner) = 32),
    -- The administrator lets nobody change it.
    frozen BOOLEAN NOT NULL,
    -- It has ended; its id is never given again.
    deleted BOOLEAN NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX community_by_owner ON community (owner);

CREATE TABLE community_chain (
    -- A log, or the chain of a channel.
    chain BYTEA NOT NULL PRIMARY KEY REFERENCES chain (chain) ON DELETE CASCADE,
    community BYTEA NOT NULL REFERENCES community (community),
    -- Absent for the log.
    channel BIGINT
);
CREATE INDEX community_chain_by_community ON community_chain (community);

CREATE TABLE membership (
    -- What the log says, for those who ask about users and not about communities.
    community BYTEA NOT NULL REFERENCES community (community),
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    -- 1 member, 2 invited, 3 asking, 4 only named in the log.
    standing BIGINT NOT NULL CHECK (standing IN (1, 2, 3, 4)),
    PRIMARY KEY (community, user_id)
);
CREATE INDEX membership_by_user ON membership (user_id, community, standing);

CREATE TABLE sender_key (
    chain BYTEA NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    sender_key BYTEA NOT NULL CHECK (length(sender_key) = 16),
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    device BYTEA NOT NULL CHECK (length(device) = 32),
    channel BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    -- The head of the user's chain at which the device announced it.
    head_seq BIGINT NOT NULL,
    head_hash BYTEA NOT NULL CHECK (length(head_hash) = 32),
    -- The least index that the next message may have.
    next_index BIGINT NOT NULL,
    PRIMARY KEY (chain, sender_key)
);

CREATE TABLE channel_read (
    chain BYTEA NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    -- Read through this place.
    seq BIGINT NOT NULL,
    PRIMARY KEY (chain, user_id)
);

CREATE TABLE blob (
    -- No reference to the community: wraps come before what creates it.
    community BYTEA NOT NULL CHECK (length(community) = 32),
    blob BYTEA NOT NULL CHECK (length(blob) = 32),
    -- Who puts it: what is not whole yet is in nobody else's way.
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    size BIGINT NOT NULL,
    -- So many bytes are there; all of them, and checked, when it is the size.
    have BIGINT NOT NULL,
    -- A statement names it.
    named BOOLEAN NOT NULL,
    -- When the last part came.
    at BIGINT NOT NULL,
    PRIMARY KEY (community, blob, user_id)
);
CREATE INDEX blob_unnamed ON blob (at) WHERE NOT named;
CREATE INDEX blob_by_user ON blob (user_id) WHERE NOT named;

CREATE TABLE blob_part (
    community BYTEA NOT NULL,
    blob BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    -- Where the part begins.
    start BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (community, blob, user_id, start),
    FOREIGN KEY (community, blob, user_id) REFERENCES blob (community, blob, user_id) ON DELETE CASCADE
);
