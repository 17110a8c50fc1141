CREATE TABLE peer_finding (
    -- Where somebody says that a peer is: kept, so that it is reached while that one cannot be asked.
    peer TEXT NOT NULL REFERENCES peer (name) ON DELETE CASCADE,
    -- Who says so: 2 its own record, 3 its well-known document, 4 SRV, 5 its name. What an administrator says is the peer's address.
    rank BIGINT NOT NULL CHECK (rank IN (2, 3, 4, 5)),
    -- Where, as it was said.
    place TEXT NOT NULL,
    -- The address at which it has proven itself there, if it has.
    reached TEXT,
    PRIMARY KEY (peer, rank)
);
