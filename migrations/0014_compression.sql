-- edition: community < 2.18
--
-- Chunks past their time for writing are compressed by the server's own jobs: about a tenth of the space. These are the names
-- from before the columnstore; a server that is upgraded keeps what they made.

DO $$
DECLARE
  facts wellhead_lifecycle;
BEGIN
  FOR facts IN SELECT * FROM wellhead_lifecycle WHERE compress_after IS NOT NULL LOOP
    EXECUTE format('ALTER TABLE %I SET (timescaledb.compress, timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
                   facts.table_name, facts.segment_by, facts.order_by);
    PERFORM add_compression_policy(facts.table_name::regclass, facts.compress_after, if_not_exists => true);
  END LOOP;
END
$$;
