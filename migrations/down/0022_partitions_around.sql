-- Makes the partition of a table in which `at` lies and `ahead` after it, and those of rows in the default partition, at most
-- `most` at a time. Returns what was made, with the rows that moved into it.
CREATE OR REPLACE FUNCTION wellhead_make_partitions(of_table text, at timestamptz DEFAULT now(), ahead integer DEFAULT 3,
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
