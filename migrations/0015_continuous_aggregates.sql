-- edition: community
--
-- The aggregates as continuous aggregates, refreshed and kept by the server's own jobs. Retention of the tables themselves
-- stays with the node, since a retention policy drops what was not archived.

-- Where the node kept them as tables, these stay beside under another name: they may know of data that were dropped.
DO $$
DECLARE
  facts wellhead_aggregate;
BEGIN
  FOR facts IN SELECT a.* FROM wellhead_aggregate a JOIN pg_class c ON c.relname = a.view_name
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') LOOP
    EXECUTE format('ALTER TABLE %I RENAME TO %I', facts.view_name, facts.view_name || '_before');
    EXECUTE format('ALTER INDEX %I RENAME TO %I', facts.view_name || '_pkey', facts.view_name || '_before_pkey');
  END LOOP;
  -- A node that was started before goes on telling what it touched, which nobody asks any more.
  IF EXISTS (SELECT FROM pg_class c WHERE c.relname = 'wellhead_invalidation' AND c.relnamespace = current_schema()::regnamespace) THEN
    DELETE FROM wellhead_invalidation;
    DELETE FROM wellhead_invalidation_pending;
    CREATE RULE wellhead_invalidation_unused AS ON INSERT TO wellhead_invalidation DO INSTEAD NOTHING;
  END IF;
END
$$;

DO $$
DECLARE
  facts record;
BEGIN
  FOR facts IN SELECT a.*, l.keep FROM wellhead_aggregate a JOIN wellhead_lifecycle l ON l.table_name = a.view_name LOOP
    EXECUTE format('CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS %s WITH NO DATA',
                   facts.view_name, wellhead_aggregate_query(facts.view_name));
    PERFORM add_continuous_aggregate_policy(facts.view_name::regclass, start_offset => facts.refresh_from,
                                            end_offset => facts.refresh_until, schedule_interval => facts.refresh_every);
    IF facts.keep IS NOT NULL THEN
      PERFORM add_retention_policy(facts.view_name::regclass, facts.keep);
    END IF;
  END LOOP;
END
$$;
