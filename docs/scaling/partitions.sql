-- Splits the table of raw events into 16 parts by box, so that vacuum, indexes and retention work on small pieces.
-- Run it once, as the database's owner, while `serve` and `ingest` stand still: psql -v ON_ERROR_STOP=1 -f partitions.sql
-- Receipts, sums and tiles stay whole: their keys begin with the box or the venue already, and they grow slowly.
BEGIN;

ALTER TABLE event RENAME TO event_whole;
CREATE TABLE event (LIKE event_whole INCLUDING ALL) PARTITION BY HASH (box);

DO $$
BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE event_%s PARTITION OF event FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
    END LOOP;
END
$$;

INSERT INTO event SELECT * FROM event_whole;
DROP TABLE event_whole;
COMMIT;

ANALYZE event;
