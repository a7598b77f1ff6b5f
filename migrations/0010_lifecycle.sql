-- How long each table's data stay, what is made of them, and what must have happened before they go.
--
-- The facts are rows, so that they can be changed where a site keeps data longer, and tables of one's own can be added.
-- Times of buckets and chunks are counted from a Monday in UTC, as TimescaleDB counts its own.

CREATE TABLE wellhead_lifecycle (
  table_name     text     PRIMARY KEY,
  time_column    text     NOT NULL,
  chunk_interval interval NOT NULL CHECK (chunk_interval > INTERVAL '0'),
  compress_after interval,
  segment_by     text,
  order_by       text,
  keep           interval CHECK (keep > INTERVAL '0'),
  guarded        boolean  NOT NULL DEFAULT true,
  arrival_column text,
  dropped_before timestamptz
);
COMMENT ON TABLE wellhead_lifecycle IS 'What wellhead does with the data of a table as they age';
COMMENT ON COLUMN wellhead_lifecycle.compress_after IS 'age of a chunk when it is compressed; Community edition only';
COMMENT ON COLUMN wellhead_lifecycle.keep IS 'age of a chunk when it is dropped; null: never';
COMMENT ON COLUMN wellhead_lifecycle.guarded IS 'a chunk is dropped only where wellhead_archive_marker covers it';
COMMENT ON COLUMN wellhead_lifecycle.arrival_column IS 'tells when a row was received, so that rows that came after a marker are seen';
COMMENT ON COLUMN wellhead_lifecycle.dropped_before IS 'data before it were dropped; aggregates of them are never computed again';

INSERT INTO wellhead_lifecycle
  (table_name, time_column, chunk_interval, compress_after, segment_by, order_by, keep, guarded, arrival_column) VALUES
  ('telemetry',          'timestamp',   '1 day',    '7 days',  'device_id',         'timestamp DESC', '30 days', true,  'ingestion_timestamp'),
  ('esp_telemetry',      'timestamp',   '1 day',    '7 days',  'well_id',           'timestamp DESC', '30 days', true,  'ingestion_timestamp'),
  ('diagnostic_results', 'timestamp',   '7 days',   '14 days', 'well_id, severity', 'timestamp DESC', '90 days', true,  NULL),
  ('dead_letter',        'received_at', '1 day',    NULL,      NULL,                NULL,             NULL,      true,  NULL),
  ('telemetry_1min',     'bucket',      '7 days',   NULL,      NULL,                NULL,             '90 days', false, NULL),
  ('telemetry_1hour',    'bucket',      '30 days',  NULL,      NULL,                NULL,             '365 days', false, NULL),
  ('telemetry_daily',    'bucket',      '360 days', NULL,      NULL,                NULL,             NULL,      false, NULL);

-- The aggregates. Each definition is written once, for continuous aggregates and for tables: {bucket} stands for the time
-- a row's bucket begins, {where} for the stretch of time that is asked for.

CREATE TABLE wellhead_aggregate (
  view_name     text     PRIMARY KEY,
  source        text     NOT NULL REFERENCES wellhead_lifecycle,
  bucket_width  interval NOT NULL CHECK (bucket_width > INTERVAL '0'),
  refresh_every interval NOT NULL,
  refresh_from  interval NOT NULL,
  refresh_until interval NOT NULL,
  late_every    interval NOT NULL DEFAULT '1 hour',
  slice         interval NOT NULL,
  definition    text     NOT NULL,
  CHECK (refresh_from >= refresh_until + 2 * bucket_width),
  CHECK (slice >= bucket_width)
);
COMMENT ON TABLE wellhead_aggregate IS 'What is computed of a table by device and bucket, and when';
COMMENT ON COLUMN wellhead_aggregate.refresh_from IS 'each refresh looks at whole buckets from this age on';
COMMENT ON COLUMN wellhead_aggregate.refresh_until IS 'to this age';
COMMENT ON COLUMN wellhead_aggregate.late_every IS 'how often buckets older than that are looked at, where late data came';
COMMENT ON COLUMN wellhead_aggregate.slice IS 'the most that one transaction computes';

INSERT INTO wellhead_aggregate
  (view_name, source, bucket_width, refresh_every, refresh_from, refresh_until, slice, definition) VALUES
  ('telemetry_1min', 'telemetry', '1 minute', '30 seconds', '1 hour', '30 seconds', '1 hour',
   'SELECT {bucket} AS bucket, device_id,
           avg(temperature) AS avg_temperature, max(temperature) AS max_temperature,
           min(temperature) AS min_temperature, stddev(temperature) AS stddev_temperature,
           avg(vibration) AS avg_vibration, max(vibration) AS max_vibration,
           avg(pressure) AS avg_pressure, max(pressure) AS max_pressure,
           avg(flow_rate) AS avg_flow_rate, sum(flow_rate::double precision) AS sum_flow_rate,
           avg(data_quality_score) AS avg_quality_score,
           count(*) FILTER (WHERE is_anomaly) AS anomaly_count, count(*) AS sample_count
    FROM telemetry {where} GROUP BY 1, 2'),
  ('telemetry_1hour', 'telemetry', '1 hour', '10 minutes', '7 days', '1 hour', '6 hours',
   'SELECT {bucket} AS bucket, device_id,
           avg(temperature) AS avg_temperature, max(temperature) AS max_temperature,
           min(temperature) AS min_temperature,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) AS p95_temperature,
           avg(vibration) AS avg_vibration, max(vibration) AS max_vibration,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY vibration) AS p95_vibration,
           avg(pressure) AS avg_pressure, avg(flow_rate) AS avg_flow_rate,
           count(*) AS sample_count, count(*) FILTER (WHERE is_anomaly) AS anomaly_count
    FROM telemetry {where} GROUP BY 1, 2'),
  ('telemetry_daily', 'telemetry', '1 day', '1 day', '30 days', '1 day', '1 day',
   'SELECT {bucket} AS bucket, device_id,
           avg(temperature) AS avg_temperature, max(temperature) AS max_temperature,
           min(temperature) AS min_temperature,
           avg(vibration) AS avg_vibration, max(vibration) AS max_vibration,
           avg(pressure) AS avg_pressure, avg(flow_rate) AS avg_flow_rate,
           count(*) AS sample_count, count(*) FILTER (WHERE is_anomaly) AS anomaly_count,
           avg(data_quality_score) AS avg_quality_score,
           100.0::double precision * count(*) / (24 * 60) AS uptime_percent
    FROM telemetry {where} GROUP BY 1, 2');

-- What backup and archive jobs write when they are done: everything of the table before covered_until, as it was at as_of,
-- is somewhere else as well.

CREATE TABLE wellhead_archive_marker (
  table_name    text        NOT NULL REFERENCES wellhead_lifecycle,
  covered_until timestamptz NOT NULL,
  as_of         timestamptz NOT NULL,
  kind          text        NOT NULL CHECK (kind IN ('archive', 'backup')),
  made_by       text        NOT NULL DEFAULT current_user,
  noted_at      timestamptz NOT NULL DEFAULT now(),
  place         text,
  CHECK (as_of <= noted_at)
);
CREATE INDEX wellhead_archive_marker_table_idx ON wellhead_archive_marker (table_name, covered_until);
COMMENT ON TABLE wellhead_archive_marker IS 'Written by backup and archive jobs; without it nothing guarded is dropped';
COMMENT ON COLUMN wellhead_archive_marker.as_of IS 'when the job began to read; what was received later is not in it';

CREATE TABLE wellhead_retention_log (
  dropped_at  timestamptz NOT NULL DEFAULT now(),
  table_name  text        NOT NULL,
  chunk       text        NOT NULL,
  range_from  timestamptz NOT NULL,
  range_until timestamptz NOT NULL,
  forced      boolean     NOT NULL,
  dropped_by  text        NOT NULL DEFAULT current_user,
  reason      text        NOT NULL
);
COMMENT ON TABLE wellhead_retention_log IS 'Every chunk that retention dropped, and why it was allowed to';

-- What changes data by their age holds this lock to the end of its transaction, and takes it before any other: a refresh
-- must not read a table from which a chunk is being dropped. Whoever only writes data takes no part in it.
CREATE FUNCTION wellhead_maintenance_lock() RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('wellhead_maintenance', 0));
$$;

-- The time the bucket or chunk of this width begins in which `at` lies.
CREATE FUNCTION wellhead_floor(width interval, at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN isfinite(at) THEN date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00') ELSE at END;
$$;
-- The first that does not begin before `at`.
CREATE FUNCTION wellhead_ceiling(width interval, at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00') = at THEN at
              ELSE date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00') + width END;
$$;

-- The query of an aggregate, over all times where none are given.
CREATE FUNCTION wellhead_aggregate_query(of_aggregate text, range_from timestamptz DEFAULT NULL,
                                         range_until timestamptz DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  facts wellhead_aggregate;
  time_column text;
  bucket text := 'date_bin(%L::interval, %I, TIMESTAMPTZ ''2000-01-03 00:00:00+00'')';
  during text := '';
BEGIN
  SELECT * INTO STRICT facts FROM wellhead_aggregate a WHERE a.view_name = of_aggregate;
  SELECT l.time_column INTO STRICT time_column FROM wellhead_lifecycle l WHERE l.table_name = facts.source;
  -- A continuous aggregate knows its bucket only by the extension's function.
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    bucket := 'time_bucket(%L::interval, %I)';
  END IF;
  IF range_from IS NOT NULL THEN
    during := format('WHERE %1$I >= %2$L::timestamptz AND %1$I < %3$L::timestamptz', time_column, range_from, range_until);
  END IF;
  RETURN replace(replace(facts.definition, '{bucket}', format(bucket, facts.bucket_width, time_column)), '{where}', during);
END
$$;

-- The chunks of a hypertable, the partitions of a partitioned table.
CREATE FUNCTION wellhead_chunks(of_table text)
RETURNS TABLE (chunk text, range_from timestamptz, range_until timestamptz) LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    RETURN QUERY EXECUTE
      'SELECT format(''%I.%I'', chunk_schema, chunk_name), range_start, range_end
       FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema() AND hypertable_name = $1'
      USING of_table;
  END IF;
  RETURN QUERY
    SELECT format('%I.%I', n.nspname, c.relname), coalesce((regexp_match(b.bound, 'FROM \(''([^'']*)''\)'))[1], '-infinity')::timestamptz,
           coalesce((regexp_match(b.bound, 'TO \(''([^'']*)''\)'))[1], 'infinity')::timestamptz
    FROM pg_class p JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace, pg_get_expr(c.relpartbound, c.oid) AS b (bound)
    WHERE p.relkind = 'p' AND p.relname = of_table AND p.relnamespace = current_schema()::regnamespace
      AND b.bound <> 'DEFAULT';
END
$$;

-- Every chunk that is past its time, of one table or of all, and whether it may go. Changes nothing.
CREATE FUNCTION wellhead_expired(of_table text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS TABLE (table_name text, chunk text, range_from timestamptz, range_until timestamptz, allowed boolean, reason text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  facts record;
  covered timestamptz;
  read_at timestamptz;
  late boolean;
BEGIN
  FOR facts IN
    SELECT l.table_name AS name, l.time_column, l.guarded, l.arrival_column, c.*
    FROM wellhead_lifecycle l, wellhead_chunks(l.table_name) c
    WHERE l.keep IS NOT NULL AND (of_table IS NULL OR l.table_name = of_table) AND c.range_until <= at - l.keep ORDER BY l.table_name, c.range_until
  LOOP
    table_name := facts.name;
    chunk := facts.chunk;
    range_from := facts.range_from;
    range_until := facts.range_until;
    SELECT max(m.covered_until), max(m.as_of) FILTER (WHERE m.covered_until >= facts.range_until)
      INTO covered, read_at FROM wellhead_archive_marker m WHERE m.table_name = facts.name;
    allowed := NOT facts.guarded OR read_at IS NOT NULL;
    reason := CASE WHEN NOT facts.guarded THEN 'it can be computed from what is kept elsewhere'
                   WHEN read_at IS NOT NULL THEN format('archived or backed up as of %s', read_at)
                   WHEN covered IS NULL THEN 'nothing of this table was archived or backed up'
                   ELSE format('archived or backed up only until %s', covered) END;
    IF facts.guarded AND allowed AND facts.arrival_column IS NOT NULL THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I > $1)', facts.chunk, facts.arrival_column)
        INTO late USING read_at;
      IF late THEN
        allowed := false;
        reason := format('rows were received after it was archived or backed up as of %s', read_at);
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

-- Drops what may go of one table, the oldest first, up to the first chunk that may not; with `force` that as well. Returns
-- what was dropped, and what was not and why.
CREATE FUNCTION wellhead_drop_expired(of_table text, force boolean DEFAULT false, at timestamptz DEFAULT now())
RETURNS TABLE (chunk text, range_from timestamptz, range_until timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql AS $$
DECLARE
  expired record;
  kept boolean := false;
BEGIN
  PERFORM wellhead_maintenance_lock();
  FOR expired IN SELECT * FROM wellhead_expired(of_table, at) LOOP
    chunk := expired.chunk;
    range_from := expired.range_from;
    range_until := expired.range_until;
    dropped := (expired.allowed AND NOT kept) OR force;
    reason := CASE WHEN expired.allowed AND kept AND NOT force THEN 'an older chunk has to go first' ELSE expired.reason END;
    kept := kept OR NOT dropped;
    IF dropped THEN
      IF EXISTS (SELECT FROM pg_class c WHERE c.oid = chunk::regclass AND c.relispartition) THEN
        EXECUTE format('DROP TABLE %s', chunk);
      ELSE
        EXECUTE 'SELECT drop_chunks($1::regclass, older_than => $2, newer_than => $3)'
          USING format('%I', of_table), range_until, range_from;
      END IF;
      UPDATE wellhead_lifecycle l SET dropped_before = greatest(l.dropped_before, expired.range_until)
        WHERE l.table_name = of_table;
      INSERT INTO wellhead_retention_log (table_name, chunk, range_from, range_until, forced, reason)
        VALUES (of_table, expired.chunk, expired.range_from, expired.range_until, NOT expired.allowed, expired.reason);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;
