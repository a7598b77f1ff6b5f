-- Where each lane stands: the rows of one reactor for one shard during one run of a node on one journal. A flush moves the
-- rows of its lanes in the transaction that inserts its rows, so they are there together or not at all. What the table
-- held before named flushes of a process that is gone; nothing can be continued from it.

DROP TABLE wellhead_progress;

CREATE TABLE wellhead_progress (
  journal_id uuid        NOT NULL,
  epoch      integer     NOT NULL,
  reactor    integer     NOT NULL,
  shard      integer     NOT NULL,
  node_id    text        NOT NULL,
  sequence   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (journal_id, epoch, reactor, shard)
)
-- Every flush updates its rows: room in the page keeps the updates on it, without new index entries.
WITH (fillfactor = 10);

COMMENT ON TABLE wellhead_progress IS
  'The last batch of each lane of each wellhead journal that is committed; written by the nodes only';
