-- edition: community >= 2.18
--
-- Chunks past their time for writing are compressed by the server's own jobs: about a tenth of the space.

DO $$
DECLARE
  facts wellhead_lifecycle;
BEGIN
  FOR facts IN SELECT * FROM wellhead_lifecycle WHERE compress_after IS NOT NULL LOOP
    EXECUTE format('ALTER TABLE %I SET (timescaledb.enable_columnstore, timescaledb.segmentby = %L, timescaledb.orderby = %L)',
                   facts.table_name, facts.segment_by, facts.order_by);
    EXECUTE format('CALL add_columnstore_policy(%L, after => %L::interval, if_not_exists => true)',
                   quote_ident(facts.table_name), facts.compress_after);
  END LOOP;
END
$$;
