-- Whether this server ordered the community once and has handed it over. What it ordered it goes on to show.
ALTER TABLE community ADD COLUMN was_hub BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE former_hub (
    -- A peer that ordered a community once and has handed it over: it may have back what it ordered.
    community BYTEA NOT NULL REFERENCES community (community) ON DELETE CASCADE,
    hub TEXT NOT NULL,
    PRIMARY KEY (hub, community)
);
