CREATE TABLE server (
    -- One row: what is true of the database as a whole.
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Which life of the database this is: random, new at creation and at every restore.
    incarnation BIGINT NOT NULL CHECK (incarnation >= 0),
    -- Raised by a probe, to find out whether something can be stored.
    probes BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE account (
    user_id BYTEA NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    -- Never given to somebody else, even when the account is deleted.
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    -- PHC string; empty when deleted.
    password TEXT NOT NULL,
    -- 1 active, 2 disabled, 3 deleted.
    state BIGINT NOT NULL CHECK (state IN (1, 2, 3)),
    -- All times are milliseconds since 1970.
    created BIGINT NOT NULL,
    last_seen BIGINT,
    email TEXT,
    -- 1 everyone, 2 co-members, 3 contacts.
    writers BIGINT NOT NULL,
    shows_presence BOOLEAN NOT NULL,
    may_be_suggested BOOLEAN NOT NULL,
    -- Sealed: the server cannot read it.
    profile BYTEA,
    profile_at BIGINT,
    -- As of the last time presence was written down.
    presence BIGINT,
    last_online BIGINT,
    -- Sealed.
    status BYTEA
);

CREATE TABLE invite (
    -- BLAKE3 of the token, which is kept nowhere.
    hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    created BIGINT NOT NULL,
    expires BIGINT,
    note TEXT,
    revoked BOOLEAN NOT NULL
);

CREATE TABLE session (
    session BYTEA NOT NULL PRIMARY KEY CHECK (length(session) = 16),
    user_id BYTEA NOT NULL REFERENCES account (user_id),
    device BYTEA NOT NULL CHECK (length(device) = 32),
    -- The device's Ed25519 key.
    device_key BYTEA NOT NULL CHECK (length(device_key) = 32),
    created BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    -- How often the refresh token was exchanged.
    generation BIGINT NOT NULL CHECK (generation >= 0),
    -- BLAKE3 of the token in force, and of the one before it.
    current_hash BYTEA NOT NULL UNIQUE CHECK (length(current_hash) = 32),
    previous_hash BYTEA CHECK (length(previous_hash) = 32),
    -- Once the token in force was used, the one before it is a thief's.
    current_used BOOLEAN NOT NULL,
    ended BIGINT
);
CREATE INDEX session_by_previous ON session (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_device ON session (device);

CREATE TABLE device (
    -- What the chain does not say of a device.
    device BYTEA NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BYTEA NOT NULL REFERENCES account (user_id),
    last_seen BIGINT NOT NULL
);
CREATE INDEX device_by_user ON device (user_id);

CREATE TABLE puk_box (
    user_id BYTEA NOT NULL REFERENCES account (user_id),
    -- A device; empty for the recovery key.
    receiver BYTEA NOT NULL CHECK (length(receiver) IN (0, 32)),
    generation BIGINT NOT NULL,
    -- One generation's seed, sealed for the receiver.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (user_id, receiver, generation)
);

CREATE TABLE chain (
    chain BYTEA NOT NULL PRIMARY KEY CHECK (length(chain) = 32),
    -- 1 a user's statements, 2 a user's journal.
    kind BIGINT NOT NULL,
    owner BYTEA NOT NULL CHECK (length(owner) = 32),
    owner_epoch BIGINT NOT NULL,
    -- The last entry; absent while there is none.
    head_seq BIGINT,
    head_hash BYTEA CHECK (length(head_hash) = 32),
    at BIGINT NOT NULL,
    -- What entries and bodies take.
    bytes BIGINT NOT NULL,
    CHECK ((head_seq IS NULL) = (head_hash IS NULL))
);
CREATE INDEX chain_by_owner ON chain (owner);

CREATE TABLE entry (
    chain BYTEA NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    seq BIGINT NOT NULL CHECK (seq >= 0),
    -- The author's own id for it: the same item twice keeps its place.
    item BYTEA NOT NULL CHECK (length(item) = 16),
    kind BIGINT NOT NULL,
    author BYTEA NOT NULL CHECK (length(author) = 32),
    at BIGINT NOT NULL,
    -- The entry without its body, as it is hashed and signed.
    encoded BYTEA NOT NULL,
    -- Apart, so that it can be erased.
    body BYTEA,
    PRIMARY KEY (chain, seq),
    UNIQUE (chain, item)
) PARTITION BY HASH (chain);
CREATE TABLE entry_0 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE entry_1 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE entry_2 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE entry_3 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE entry_4 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE entry_5 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE entry_6 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE entry_7 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE entry_8 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE entry_9 PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE entry_a PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE entry_b PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE entry_c PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE entry_d PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE entry_e PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE entry_f PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE TABLE prekey (
    device BYTEA NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BYTEA NOT NULL REFERENCES account (user_id),
    -- The signed prekeys in force, encoded.
    signed BYTEA,
    signed_kem BYTEA,
    -- The highest ids of one-time keys ever published: none at or below comes in again.
    highest BIGINT NOT NULL,
    highest_kem BIGINT NOT NULL,
    -- When the device last published.
    at BIGINT NOT NULL,
    -- How often keys of it were claimed.
    claims BIGINT NOT NULL
);
CREATE INDEX prekey_by_user ON prekey (user_id);

CREATE TABLE one_time_prekey (
    device BYTEA NOT NULL REFERENCES prekey (device) ON DELETE CASCADE,
    -- 1 X25519, 2 X-Wing.
    kind BIGINT NOT NULL CHECK (kind IN (1, 2)),
    id BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    encoded BYTEA NOT NULL,
    PRIMARY KEY (device, kind, id)
);
CREATE INDEX one_time_prekey_by_end ON one_time_prekey (expires);

CREATE TABLE claim (
    -- What was given to whom, so that the same claim gets the same again.
    requester BYTEA NOT NULL CHECK (length(requester) = 32),
    claim BYTEA NOT NULL CHECK (length(claim) = 16),
    device BYTEA NOT NULL CHECK (length(device) = 32),
    at BIGINT NOT NULL,
    signed BYTEA NOT NULL,
    signed_kem BYTEA NOT NULL,
    one_time BYTEA,
    one_time_kem BYTEA,
    PRIMARY KEY (requester, claim, device)
);
CREATE INDEX claim_by_device ON claim (device, requester, at);
CREATE INDEX claim_by_time ON claim (at);

CREATE TABLE message (
    -- Ids are made to rise with time (UUIDv7), so that new rows meet on few pages of each partition.
    item BYTEA NOT NULL CHECK (length(item) = 16),
    sender BYTEA NOT NULL CHECK (length(sender) = 32),
    at BIGINT NOT NULL,
    PRIMARY KEY (item, sender)
) PARTITION BY HASH (item);
CREATE TABLE message_0 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE message_1 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE message_2 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE message_3 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE message_4 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE message_5 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE message_6 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE message_7 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE message_8 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE message_9 PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE message_a PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE message_b PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE message_c PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE message_d PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE message_e PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE message_f PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER 15);
CREATE INDEX message_by_time ON message (at);

CREATE TABLE mailbox_head (
    device BYTEA NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BYTEA NOT NULL CHECK (length(user_id) = 32),
    -- The last position ever given; it never falls while the incarnation lasts.
    last BIGINT NOT NULL,
    -- Envelopes that wait, and what they take.
    waiting BIGINT NOT NULL CHECK (waiting >= 0),
    bytes BIGINT NOT NULL CHECK (bytes >= 0)
);
CREATE INDEX mailbox_head_by_user ON mailbox_head (user_id);

CREATE TABLE mailbox (
    -- No foreign key, because this is the hot path.
    device BYTEA NOT NULL,
    position BIGINT NOT NULL,
    at BIGINT NOT NULL,
    size BIGINT NOT NULL,
    envelope BYTEA NOT NULL,
    PRIMARY KEY (device, position)
) PARTITION BY HASH (device);
CREATE TABLE mailbox_0 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE mailbox_1 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE mailbox_2 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE mailbox_3 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE mailbox_4 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE mailbox_5 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE mailbox_6 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE mailbox_7 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE mailbox_8 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE mailbox_9 PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE mailbox_a PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE mailbox_b PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE mailbox_c PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE mailbox_d PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE mailbox_e PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE mailbox_f PARTITION OF mailbox FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE TABLE contact (
    owner BYTEA NOT NULL REFERENCES account (user_id),
    name TEXT COLLATE "C" NOT NULL,
    -- Absent where a request went to a name that is free, or that blocks the owner.
    user_id BYTEA CHECK (length(user_id) = 32),
    -- 1 asked, 2 asking, 3 accepted, 4 blocked, 5 stranger.
    standing BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX contact_by_user ON contact (user_id, owner);
