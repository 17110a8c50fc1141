-- Communities, channels and what was said in them. As before, whatever names something is a keyed hash, and every `sealed` value is ciphertext.

-- 0 a direct message, 1 something of a channel.
ALTER TABLE message ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
-- The place in the channel's chain; 2^62 while the hub has not given one.
ALTER TABLE message ADD COLUMN place INTEGER;
-- The message that an edit, a reaction or a pin is about, hashed.
ALTER TABLE message ADD COLUMN target BLOB;
-- The first message of the thread that a message belongs to, hashed.
ALTER TABLE message ADD COLUMN thread BLOB;
-- Channel and message id, hashed: what a person names a message by.
ALTER TABLE message ADD COLUMN ident BLOB;
CREATE INDEX message_by_ident ON message (ident) WHERE ident IS NOT NULL;
CREATE INDEX message_by_place ON message (conversation, place, position) WHERE kind = 1;
CREATE INDEX message_shown ON message (conversation, place, position) WHERE kind = 1 AND target IS NULL AND thread IS NULL;
CREATE INDEX message_by_target ON message (target, place) WHERE target IS NOT NULL;
CREATE INDEX message_by_thread ON message (thread, place) WHERE thread IS NOT NULL;

CREATE TABLE community (
    -- The community, hashed.
    community BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    -- The community, hashed.
    community BLOB NOT NULL,
    -- The place in its log.
    seq INTEGER NOT NULL,
    -- The entry, as it was verified before it was stored.
    sealed BLOB NOT NULL,
    PRIMARY KEY (community, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    -- Community, audience and number, hashed.
    epoch BLOB PRIMARY KEY,
    -- The epoch's secret.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sender_key (
    -- Channel and id, hashed.
    sender_key BLOB PRIMARY KEY,
    -- Another device's key, as far as it was used.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE channel (
    -- The channel's chain, hashed.
    channel BLOB PRIMARY KEY,
    -- How far it was taken in and read.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE own_sender_key (
    -- The channel's chain, hashed.
    channel BLOB PRIMARY KEY,
    -- This device's key for it, in its next state.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE posting (
    -- The order of sending within a channel.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The channel's chain, hashed.
    channel BLOB NOT NULL,
    -- Channel, author and id, hashed.
    item BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX posting_by_channel ON posting (channel, position);

CREATE TABLE name (
    -- A user, hashed.
    person BLOB PRIMARY KEY,
    -- The name of their account, as their home tells it.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE last_message (
    -- Channel, user and device, hashed.
    author BLOB PRIMARY KEY,
    -- The hash of the last message of that device in that channel.
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
