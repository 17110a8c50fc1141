-- The search index: pieces of it, each a sealed head and sealed blocks, padded. There is no row for a word: what shows is how large the index is.

CREATE TABLE segment (
    segment INTEGER PRIMARY KEY AUTOINCREMENT,
    -- From which messages it was made, and with what each block begins.
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE segment_block (
    segment INTEGER NOT NULL,
    -- The block's number within its segment.
    block INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (segment, block)
) STRICT;
