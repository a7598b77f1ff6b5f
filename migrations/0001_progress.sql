-- Where each shard of each node stands. A flush moves its row in the transaction that inserts the rows of the flush,
-- so the two are there together or not at all.

CREATE TABLE wellhead_progress (
  node_id    text        NOT NULL,
  shard      integer     NOT NULL,
  sequence   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (node_id, shard)
)
-- Every flush updates its row: room in the page keeps the updates on it, without new index entries.
WITH (fillfactor = 10);

COMMENT ON TABLE wellhead_progress IS 'Where each shard of each wellhead node stands; written by the nodes only';
