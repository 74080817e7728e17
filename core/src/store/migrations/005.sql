-- Schema version 5: dispatches are told as shapes, while somebody looks.

-- The commit since which changes of dispatches are logged, and until when; ms.
ALTER TABLE clock ADD COLUMN watched_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clock ADD COLUMN watched_until INTEGER NOT NULL DEFAULT 0;
