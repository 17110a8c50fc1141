-- The peer that orders the community; absent when this server does.
ALTER TABLE community ADD COLUMN hub TEXT;
CREATE INDEX community_by_hub ON community (hub) WHERE hub IS NOT NULL;

CREATE TABLE copied_head (
    -- A chain that another server orders.
    chain BYTEA NOT NULL PRIMARY KEY REFERENCES chain (chain) ON DELETE CASCADE,
    -- That server's word for where it stands, encoded.
    head BYTEA NOT NULL
);

CREATE TABLE peer_farewell (
    -- How much of a log a peer may read when none of its users has to do with the community any more.
    peer TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE,
    community BYTEA NOT NULL REFERENCES community (community),
    -- Through this place: the statement by which the last of them went.
    seq BIGINT NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (peer, community)
);
