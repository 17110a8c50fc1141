-- The sealed store of one device. Every `sealed` value is ciphertext, and every key column that would name a person, a device or a message
-- is a keyed hash, so that a thief of the disk learns how many rows there are, how large, and when they were written: nothing else.

CREATE TABLE header (
    -- Always 1.
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- The store's header, in the clear: the store key wrapped under a passphrase, a key file, a credential, a slot each.
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE value (
    -- What there is one of: the account, the device's secrets, the session's tokens, cursors.
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pair (
    -- The other device, hashed.
    device BLOB PRIMARY KEY,
    -- Rises with every change: a store that was put back to an earlier day is found out by it.
    generation INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE statement (
    -- The user, hashed.
    person BLOB NOT NULL,
    -- The place in the user's chain.
    seq INTEGER NOT NULL,
    -- The entry, as it was verified before it was stored.
    sealed BLOB NOT NULL,
    PRIMARY KEY (person, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
    -- The user, hashed.
    person BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    -- The order of arrival at this device: what `tail` counts by.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The conversation's other side, hashed.
    conversation BLOB NOT NULL,
    -- Conversation, author and message id, hashed: a message is there once.
    item BLOB NOT NULL UNIQUE,
    -- The author's clock, in milliseconds since 1970: what `read` sorts by.
    at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX message_by_time ON message (conversation, at, position);

CREATE TABLE outbox (
    -- The order of sending within a conversation.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The receiver, hashed.
    conversation BLOB NOT NULL,
    -- Conversation, author and message id, hashed.
    item BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE unconfirmed (
    -- A message that was sent and not yet delivered: kept, so that it can be sealed again when a session is lost.
    item BLOB PRIMARY KEY,
    conversation BLOB NOT NULL,
    -- When it is given up, in milliseconds since 1970.
    until INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt (
    -- Conversation and message id, hashed.
    item BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    -- What is to be appended to the user's journal, in order.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The item's id in the journal, hashed.
    item BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE archived (
    -- A message that the journal holds and the mailbox has not brought yet, by the hash of conversation, author and id. It is shown when the
    -- mailbox has had its time: what comes by both ways is to keep the mailbox's order.
    item BLOB PRIMARY KEY,
    -- Since when, in milliseconds since 1970.
    since INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE operation (
    -- One operation on the account's common state, by the hash of its stamp; the state is folded from all of them, in any order.
    stamp BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE draft (
    -- The conversation, hashed. Nothing writes it yet but the terminal's composer to come.
    conversation BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
