-- What scoring knows of each device: the recent mean, spread and latest reading of its scored fields, as the shard that owns
-- the device saves them in the transactions of its flushes. A node that starts goes on from here, so that it neither takes
-- ordinary readings for anomalies nor has to learn anew. Losing a row costs a device its warm-up, and nothing else.

CREATE TABLE wellhead_device_baselines (
  stream    text        NOT NULL,
  device_id text        NOT NULL,
  state     bytea       NOT NULL,
  saved_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (stream, device_id)
)
-- Rows are updated again and again, and nothing that is indexed changes: room in the page keeps the updates on it, without
-- new index entries.
WITH (fillfactor = 70);

COMMENT ON TABLE wellhead_device_baselines IS
  'What scoring knows of each device of each stream; written by the nodes only. A row may be deleted: its device is then learned anew';
COMMENT ON COLUMN wellhead_device_baselines.state IS 'the node''s own format, which begins with its version';
