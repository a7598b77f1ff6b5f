-- edition: plain
--
-- Partitions are made around those that are there. After chunk_interval was made longer, a chunk of the new length may lie
-- over partitions of the old one: as long as none was made there, the rows between them stayed in the default partition, which
-- retention never drops.

-- Makes the partition of a table in which `at` lies and `ahead` after it, and those of rows in the default partition, at most
-- `most` at a time; where there are some already that are no multiple of a chunk, what these leave of it. Returns what was
-- made, with the rows that moved into it.
CREATE OR REPLACE FUNCTION wellhead_make_partitions(of_table text, at timestamptz DEFAULT now(), ahead integer DEFAULT 3,
                                         most integer DEFAULT 100)
RETURNS TABLE (part text, range_from timestamptz, range_until timestamptz, rows_moved bigint)
-- Days of another zone may have 23 hours or 25, and chunks of such lengths would lie over each other.
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
  facts wellhead_lifecycle;
  default_table text := of_table || '_default';
BEGIN
  PERFORM wellhead_maintenance_lock();
  SELECT * INTO STRICT facts FROM wellhead_lifecycle l WHERE l.table_name = of_table;
  FOR range_from, range_until IN EXECUTE format(
    'SELECT lower(piece), upper(piece) FROM (
       SELECT wellhead_floor($1, $2) + n * $1 AS start FROM generate_series(0, $3) AS n
       UNION SELECT wellhead_floor($1, %I) FROM %I WHERE isfinite(%1$I)) AS w,
     unnest(tstzmultirange(tstzrange(w.start, w.start + $1))
            - (SELECT coalesce(range_agg(tstzrange(c.range_from, c.range_until)), ''{}'') FROM wellhead_chunks($4) c)) AS piece
     ORDER BY 1 LIMIT $5', facts.time_column, default_table)
    USING facts.chunk_interval, at, ahead, of_table, most
  LOOP
    part := format('%s_%s', of_table, to_char(range_from AT TIME ZONE 'UTC',
                   CASE WHEN facts.chunk_interval < INTERVAL '1 day' OR range_from <> date_trunc('day', range_from, 'UTC')
                        THEN 'YYYYMMDD_HH24MI' ELSE 'YYYYMMDD' END));
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
