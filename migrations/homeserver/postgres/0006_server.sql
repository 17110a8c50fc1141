-- What an administrator has decided while the server ran, instead of what the configuration says: 1 off, 2 allowlist, 3 open.
ALTER TABLE server ADD COLUMN federation BIGINT CHECK (federation BETWEEN 1 AND 3);
-- Since when a restored database waits for what its peers have kept of it.
ALTER TABLE server ADD COLUMN fenced BIGINT;
