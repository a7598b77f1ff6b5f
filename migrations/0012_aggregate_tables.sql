-- edition: apache, plain
--
-- The aggregates as tables, where the server has no continuous aggregates: the same names and columns, kept by the node.
--
-- Whoever writes to a source tells in the same transaction which stretches of time it touched. A refresh takes that log,
-- computes the buckets anew and removes what it took, in one transaction: it dies as a whole or is done as a whole. What is
-- written while it runs has a log row of its own, which it does not see and so does not remove.

CREATE TABLE wellhead_invalidation (
  source      text        NOT NULL,
  range_from  timestamptz NOT NULL,
  range_until timestamptz NOT NULL,
  CHECK (range_from < range_until AND isfinite(range_from) AND isfinite(range_until))
)
-- Rows live for less than a minute, and there are many of them.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE wellhead_invalidation IS
  'Stretches of time that were written to, range_until left out; one or more rows for each transaction';

-- The same for each aggregate by itself, in whole buckets, without overlap. Only refreshes write to it.
CREATE TABLE wellhead_invalidation_pending (
  view_name   text        NOT NULL REFERENCES wellhead_aggregate,
  range_from  timestamptz NOT NULL,
  range_until timestamptz NOT NULL,
  PRIMARY KEY (view_name, range_from)
);
COMMENT ON TABLE wellhead_invalidation_pending IS 'What each aggregate has yet to compute again';

-- Moves the log of a source to its aggregates. REQUIRES the maintenance lock.
CREATE FUNCTION wellhead_collect_invalidations(of_source text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  touched tstzmultirange;
  known tstzmultirange;
  facts record;
BEGIN
  WITH taken AS (
    DELETE FROM wellhead_invalidation i WHERE i.source = of_source RETURNING tstzrange(i.range_from, i.range_until) AS r)
  SELECT range_agg(t.r) INTO touched FROM taken t;
  IF touched IS NULL THEN
    RETURN;
  END IF;
  FOR facts IN SELECT a.view_name, a.bucket_width AS width FROM wellhead_aggregate a WHERE a.source = of_source LOOP
    SELECT coalesce(range_agg(tstzrange(p.range_from, p.range_until)), '{}') INTO known
      FROM wellhead_invalidation_pending p WHERE p.view_name = facts.view_name;
    SELECT known + range_agg(tstzrange(wellhead_floor(facts.width, lower(r)), wellhead_ceiling(facts.width, upper(r))))
      INTO known FROM unnest(touched) AS r;
    PERFORM wellhead_set_pending(facts.view_name, known);
  END LOOP;
END
$$;

CREATE FUNCTION wellhead_set_pending(of_aggregate text, ranges tstzmultirange) RETURNS void LANGUAGE sql AS $$
  DELETE FROM wellhead_invalidation_pending WHERE view_name = of_aggregate;
  INSERT INTO wellhead_invalidation_pending (view_name, range_from, range_until)
    SELECT of_aggregate, lower(r), upper(r) FROM unnest(ranges) AS r;
$$;

-- Computes one slice of an aggregate again, the newest of those that are due: whole buckets within its window, or with
-- `late` also those before it. Returns what it did; no row where nothing is due. To be repeated until then, each time in a
-- transaction of its own.
CREATE FUNCTION wellhead_refresh(of_aggregate text, late boolean DEFAULT false, at timestamptz DEFAULT now())
RETURNS TABLE (range_from timestamptz, range_until timestamptz, rows_deleted bigint, rows_inserted bigint)
LANGUAGE plpgsql AS $$
DECLARE
  facts wellhead_aggregate;
  gone_before timestamptz;
  due_from timestamptz;
  due_until timestamptz;
  pending tstzmultirange;
  due tstzmultirange;
BEGIN
  PERFORM wellhead_maintenance_lock();
  SELECT * INTO STRICT facts FROM wellhead_aggregate a WHERE a.view_name = of_aggregate;
  SELECT coalesce(wellhead_ceiling(facts.bucket_width, l.dropped_before), '-infinity') INTO STRICT gone_before
    FROM wellhead_lifecycle l WHERE l.table_name = facts.source;
  PERFORM wellhead_collect_invalidations(facts.source);

  -- A bucket whose rows were dropped keeps what was computed of them.
  SELECT coalesce(range_agg(tstzrange(p.range_from, p.range_until)), '{}') * tstzmultirange(tstzrange(gone_before, NULL))
    INTO pending FROM wellhead_invalidation_pending p WHERE p.view_name = of_aggregate;
  due_from := CASE WHEN late THEN '-infinity' ELSE wellhead_ceiling(facts.bucket_width, at - facts.refresh_from) END;
  due_until := wellhead_floor(facts.bucket_width, at - facts.refresh_until);
  due := pending * tstzmultirange(tstzrange(due_from, due_until));
  IF isempty(due) THEN
    RETURN;
  END IF;
  SELECT upper(r), greatest(lower(r), wellhead_floor(facts.bucket_width, upper(r) - facts.slice))
    INTO range_until, range_from FROM unnest(due) AS r ORDER BY upper(r) DESC LIMIT 1;

  EXECUTE format('DELETE FROM %I WHERE bucket >= $1 AND bucket < $2', of_aggregate) USING range_from, range_until;
  GET DIAGNOSTICS rows_deleted = ROW_COUNT;
  EXECUTE format('INSERT INTO %I %s', of_aggregate, wellhead_aggregate_query(of_aggregate, range_from, range_until));
  GET DIAGNOSTICS rows_inserted = ROW_COUNT;

  PERFORM wellhead_set_pending(of_aggregate, pending - tstzmultirange(tstzrange(range_from, range_until)));
  RETURN NEXT;
END
$$;

DO $$
DECLARE
  facts record;
BEGIN
  FOR facts IN SELECT a.view_name, l.chunk_interval FROM wellhead_aggregate a JOIN wellhead_lifecycle l ON l.table_name = a.view_name LOOP
    EXECUTE format('CREATE TABLE %I AS %s WITH NO DATA', facts.view_name, wellhead_aggregate_query(facts.view_name));
    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (device_id, bucket)', facts.view_name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', facts.view_name, 'Computed from its source by wellhead; see wellhead_aggregate');
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
      PERFORM create_hypertable(facts.view_name::regclass, 'bucket', chunk_time_interval => facts.chunk_interval,
                                create_default_indexes => false);
    ELSE
      PERFORM wellhead_partition_table(facts.view_name);
      PERFORM wellhead_make_partitions(facts.view_name);
    END IF;
  END LOOP;
END
$$;

-- What is there already is computed by the first refreshes.
INSERT INTO wellhead_invalidation (source, range_from, range_until)
  SELECT 'telemetry', min("timestamp"), max("timestamp") + INTERVAL '1 microsecond' FROM telemetry HAVING count(*) > 0;
