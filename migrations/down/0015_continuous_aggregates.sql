-- loses: telemetry_1min telemetry_1hour telemetry_daily

DROP MATERIALIZED VIEW telemetry_daily;
DROP MATERIALIZED VIEW telemetry_1hour;
DROP MATERIALIZED VIEW telemetry_1min;

-- What the node kept before comes back, and is computed again where its source still is.
DO $$
DECLARE
  facts wellhead_aggregate;
BEGIN
  FOR facts IN SELECT a.* FROM wellhead_aggregate a JOIN pg_class c ON c.relname = a.view_name || '_before'
               WHERE c.relnamespace = current_schema()::regnamespace LOOP
    EXECUTE format('ALTER TABLE %I RENAME TO %I', facts.view_name || '_before', facts.view_name);
    EXECUTE format('ALTER INDEX %I RENAME TO %I', facts.view_name || '_before_pkey', facts.view_name || '_pkey');
  END LOOP;
  IF EXISTS (SELECT FROM pg_class c WHERE c.relname = 'wellhead_invalidation' AND c.relnamespace = current_schema()::regnamespace) THEN
    DROP RULE wellhead_invalidation_unused ON wellhead_invalidation;
    INSERT INTO wellhead_invalidation (source, range_from, range_until)
      SELECT 'telemetry', min("timestamp"), max("timestamp") + INTERVAL '1 microsecond' FROM telemetry HAVING count(*) > 0;
  END IF;
END
$$;
