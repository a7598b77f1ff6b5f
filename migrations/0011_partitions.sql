-- edition: plain
--
-- Without TimescaleDB the tables are partitioned by PostgreSQL's own means: by time, in steps of a chunk. Partitions are
-- made ahead of time; a row for which there is none goes to the default partition and moves to its own when that is made.

-- Makes a table partitioned, with all that belongs to it under the same names. What it held becomes one partition, without
-- being copied.
CREATE FUNCTION wellhead_partition_table(of_table text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  facts wellhead_lifecycle;
  old_table text := of_table || '_before';
  part record;
  newest timestamptz;
  remark text;
  indexes text[];
  constraints text[];
  grants text[];
BEGIN
  SELECT * INTO STRICT facts FROM wellhead_lifecycle l WHERE l.table_name = of_table;
  remark := obj_description(of_table::regclass, 'pg_class');
  SELECT array_agg(pg_get_indexdef(x.indexrelid)) INTO indexes FROM pg_index x
    WHERE x.indrelid = of_table::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid);
  SELECT array_agg(format('ALTER TABLE %I ADD CONSTRAINT %I %s', of_table, c.conname, pg_get_constraintdef(c.oid)))
    INTO constraints FROM pg_constraint c WHERE c.conrelid = of_table::regclass AND c.contype IN ('p', 'u');
  SELECT array_agg(format('GRANT %s ON %I TO %s', g.privilege_type, of_table,
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)) INTO grants
    FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = of_table::regclass AND g.grantee <> c.relowner;

  EXECUTE format('ALTER TABLE %I RENAME TO %I', of_table, old_table);
  FOR part IN SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = old_table::regclass LOOP
    EXECUTE format('ALTER INDEX %I RENAME TO %I', part.relname, part.relname || '_before');
  END LOOP;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS) PARTITION BY RANGE (%I)',
                 of_table, old_table, facts.time_column);
  EXECUTE format('COMMENT ON TABLE %I IS %L', of_table, remark);
  FOREACH remark IN ARRAY coalesce(constraints || indexes || grants, '{}') LOOP
    EXECUTE remark;
  END LOOP;

  EXECUTE format('SELECT max(%I) FROM %I', facts.time_column, old_table) INTO newest;
  IF newest IS NULL THEN
    EXECUTE format('DROP TABLE %I', old_table);
  ELSE
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', of_table, old_table,
                   wellhead_floor(facts.chunk_interval, newest) + facts.chunk_interval);
  END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', of_table || '_default', of_table);
END
$$;

-- Makes the partition of a table in which `at` lies and `ahead` after it, and those of rows in the default partition, at most
-- `most` at a time. Returns what was made, with the rows that moved into it.
CREATE FUNCTION wellhead_make_partitions(of_table text, at timestamptz DEFAULT now(), ahead integer DEFAULT 3,
                                         most integer DEFAULT 100)
RETURNS TABLE (part text, range_from timestamptz, range_until timestamptz, rows_moved bigint) LANGUAGE plpgsql AS $$
DECLARE
  facts wellhead_lifecycle;
  default_table text := of_table || '_default';
BEGIN
  PERFORM wellhead_maintenance_lock();
  SELECT * INTO STRICT facts FROM wellhead_lifecycle l WHERE l.table_name = of_table;
  FOR range_from IN EXECUTE format(
    'SELECT w.start FROM (
       SELECT wellhead_floor($1, $2) + n * $1 AS start FROM generate_series(0, $3) AS n
       UNION SELECT wellhead_floor($1, %I) FROM %I WHERE isfinite(%1$I)) AS w
     WHERE NOT EXISTS (SELECT FROM wellhead_chunks($4) c WHERE c.range_from < w.start + $1 AND c.range_until > w.start)
     ORDER BY w.start LIMIT $5', facts.time_column, default_table)
    USING facts.chunk_interval, at, ahead, of_table, most
  LOOP
    range_until := range_from + facts.chunk_interval;
    part := format('%s_%s', of_table, to_char(range_from AT TIME ZONE 'UTC',
                   CASE WHEN facts.chunk_interval < INTERVAL '1 day' THEN 'YYYYMMDD_HH24MI' ELSE 'YYYYMMDD' END));
    -- The partition is attached with its rows in it: at no moment do they exist twice, or not at all.
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', default_table);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, of_table);
    EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= $1 AND %2$I < $2 RETURNING *) INSERT INTO %I SELECT * FROM moved',
                   default_table, facts.time_column, part) USING range_from, range_until;
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', of_table, part, range_from, range_until);
    RETURN NEXT;
  END LOOP;
END
$$;

SELECT wellhead_partition_table(t) FROM unnest(ARRAY['telemetry', 'esp_telemetry', 'diagnostic_results', 'dead_letter']) AS t;
SELECT made.* FROM unnest(ARRAY['telemetry', 'esp_telemetry', 'diagnostic_results', 'dead_letter']) AS t,
              wellhead_make_partitions(t) AS made;
