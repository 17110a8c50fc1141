CREATE TABLE server (
    -- One row: what is true of the database as a whole.
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Which life of the database this is: random, new at creation and at every restore.
    incarnation INTEGER NOT NULL CHECK (incarnation >= 0),
    -- Raised by a probe, to find out whether something can be stored.
    probes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE account (
    user_id BLOB NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    -- Never given to somebody else, even when the account is deleted.
    name TEXT NOT NULL UNIQUE,
    -- PHC string; empty when deleted.
    password TEXT NOT NULL,
    -- 1 active, 2 disabled, 3 deleted.
    state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
    -- All times are milliseconds since 1970.
    created INTEGER NOT NULL,
    last_seen INTEGER,
    email TEXT,
    -- 1 everyone, 2 co-members, 3 contacts.
    writers INTEGER NOT NULL,
    shows_presence INTEGER NOT NULL,
    may_be_suggested INTEGER NOT NULL,
    -- Sealed: the server cannot read it.
    profile BLOB,
    profile_at INTEGER,
    -- As of the last time presence was written down.
    presence INTEGER,
    last_online INTEGER,
    -- Sealed.
    status BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
    -- BLAKE3 of the token, which is kept nowhere.
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    id TEXT NOT NULL UNIQUE,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created INTEGER NOT NULL,
    expires INTEGER,
    note TEXT,
    revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    session BLOB NOT NULL PRIMARY KEY CHECK (length(session) = 16),
    user_id BLOB NOT NULL REFERENCES account (user_id),
    device BLOB NOT NULL CHECK (length(device) = 32),
    -- The device's Ed25519 key.
    device_key BLOB NOT NULL CHECK (length(device_key) = 32),
    created INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- How often the refresh token was exchanged.
    generation INTEGER NOT NULL CHECK (generation >= 0),
    -- BLAKE3 of the token in force, and of the one before it.
    current_hash BLOB NOT NULL UNIQUE CHECK (length(current_hash) = 32),
    previous_hash BLOB CHECK (length(previous_hash) = 32),
    -- Once the token in force was used, the one before it is a thief's.
    current_used INTEGER NOT NULL,
    ended INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_previous ON session (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_device ON session (device);

CREATE TABLE device (
    -- What the chain does not say of a device.
    device BLOB NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BLOB NOT NULL REFERENCES account (user_id),
    last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_user ON device (user_id);

CREATE TABLE puk_box (
    user_id BLOB NOT NULL REFERENCES account (user_id),
    -- A device; empty for the recovery key.
    receiver BLOB NOT NULL CHECK (length(receiver) IN (0, 32)),
    generation INTEGER NOT NULL,
    -- One generation's seed, sealed for the receiver.
    sealed BLOB NOT NULL,
    PRIMARY KEY (user_id, receiver, generation)
) STRICT;

CREATE TABLE chain (
    chain BLOB NOT NULL PRIMARY KEY CHECK (length(chain) = 32),
    -- 1 a user's statements, 2 a user's journal.
    kind INTEGER NOT NULL,
    owner BLOB NOT NULL CHECK (length(owner) = 32),
    owner_epoch INTEGER NOT NULL,
    -- The last entry; absent while there is none.
    head_seq INTEGER,
    head_hash BLOB CHECK (length(head_hash) = 32),
    at INTEGER NOT NULL,
    -- What entries and bodies take.
    bytes INTEGER NOT NULL,
    CHECK ((head_seq IS NULL) = (head_hash IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX chain_by_owner ON chain (owner);

CREATE TABLE entry (
    chain BLOB NOT NULL REFERENCES chain (chain) ON DELETE CASCADE,
    seq INTEGER NOT NULL CHECK (seq >= 0),
    -- The author's own id for it: the same item twice keeps its place.
    item BLOB NOT NULL CHECK (length(item) = 16),
    kind INTEGER NOT NULL,
    author BLOB NOT NULL CHECK (length(author) = 32),
    at INTEGER NOT NULL,
    -- The entry without its body, as it is hashed and signed.
    encoded BLOB NOT NULL,
    -- Apart, so that it can be erased.
    body BLOB,
    PRIMARY KEY (chain, seq),
    UNIQUE (chain, item)
) STRICT;

CREATE TABLE prekey (
    device BLOB NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BLOB NOT NULL REFERENCES account (user_id),
    -- The signed prekeys in force, encoded.
    signed BLOB,
    signed_kem BLOB,
    -- The highest ids of one-time keys ever published: none at or below comes in again.
    highest INTEGER NOT NULL,
    highest_kem INTEGER NOT NULL,
    -- When the device last published.
    at INTEGER NOT NULL,
    -- How often keys of it were claimed.
    claims INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX prekey_by_user ON prekey (user_id);

CREATE TABLE one_time_prekey (
    device BLOB NOT NULL REFERENCES prekey (device) ON DELETE CASCADE,
    -- 1 X25519, 2 X-Wing.
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    id INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    encoded BLOB NOT NULL,
    PRIMARY KEY (device, kind, id)
) STRICT;
CREATE INDEX one_time_prekey_by_end ON one_time_prekey (expires);

CREATE TABLE claim (
    -- What was given to whom, so that the same claim gets the same again.
    requester BLOB NOT NULL CHECK (length(requester) = 32),
    claim BLOB NOT NULL CHECK (length(claim) = 16),
    device BLOB NOT NULL CHECK (length(device) = 32),
    at INTEGER NOT NULL,
    signed BLOB NOT NULL,
    signed_kem BLOB NOT NULL,
    one_time BLOB,
    one_time_kem BLOB,
    PRIMARY KEY (requester, claim, device)
) STRICT;
CREATE INDEX claim_by_device ON claim (device, requester, at);
CREATE INDEX claim_by_time ON claim (at);

CREATE TABLE message (
    -- Ids are made to rise with time (UUIDv7), so that new rows meet on few pages.
    item BLOB NOT NULL CHECK (length(item) = 16),
    sender BLOB NOT NULL CHECK (length(sender) = 32),
    at INTEGER NOT NULL,
    PRIMARY KEY (item, sender)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_time ON message (at);

CREATE TABLE mailbox_head (
    device BLOB NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    -- The last position ever given; it never falls while the incarnation lasts.
    last INTEGER NOT NULL,
    -- Envelopes that wait, and what they take.
    waiting INTEGER NOT NULL CHECK (waiting >= 0),
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailbox_head_by_user ON mailbox_head (user_id);

CREATE TABLE mailbox (
    -- By order of arrival, so that what is stored together lies together; no foreign key, because this is the hot path.
    device BLOB NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (device, position)
) STRICT;

CREATE TABLE contact (
    owner BLOB NOT NULL REFERENCES account (user_id),
    name TEXT NOT NULL,
    -- Absent where a request went to a name that is free, or that blocks the owner.
    user_id BLOB CHECK (length(user_id) = 32),
    -- 1 asked, 2 asking, 3 accepted, 4 blocked, 5 stranger.
    standing INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_by_user ON contact (user_id, owner);
