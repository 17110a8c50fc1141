-- Every entry of a channel that was taken in, by its hash: what somebody has seen of a channel has to be what stands before their message.
CREATE TABLE channel_entry (
    -- The channel's chain and the entry's hash, hashed.
    entry BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
