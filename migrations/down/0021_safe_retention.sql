-- The chunks of a hypertable, the partitions of a partitioned table.
CREATE OR REPLACE FUNCTION wellhead_chunks(of_table text)
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
CREATE OR REPLACE FUNCTION wellhead_expired(of_table text DEFAULT NULL, at timestamptz DEFAULT now())
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
CREATE OR REPLACE FUNCTION wellhead_drop_expired(of_table text, force boolean DEFAULT false, at timestamptz DEFAULT now())
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

DROP FUNCTION wellhead_may_drop(text, text, timestamptz, timestamptz);
DROP FUNCTION wellhead_is_divided(text);
DROP FUNCTION wellhead_computed_since(text, timestamptz);
