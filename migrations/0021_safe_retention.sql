-- Retention looks again before it drops, at a chunk nobody writes to any more.
--
-- What a chunk held when it was looked at first may be less than what it holds when it goes: rows that come late are
-- committed meanwhile. So the chunk is locked against writers, which waits for those that are in it, and is looked at again
-- by a statement of its own, whose snapshot has what they committed.

-- The chunks of a hypertable, the partitions of a partitioned table. The schema is compared by its name as it is: regnamespace
-- would read it as an identifier, and know none of those that need quotes.
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
    FROM pg_class p JOIN pg_namespace here ON here.oid = p.relnamespace JOIN pg_inherits i ON i.inhparent = p.oid
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
    pg_get_expr(c.relpartbound, c.oid) AS b (bound)
    WHERE p.relkind = 'p' AND p.relname = of_table AND here.nspname = current_schema() AND b.bound <> 'DEFAULT';
END
$$;

-- The aggregate that looks back furthest of those that are computed of a table, and to when. Nulls where there is none. What
-- the server computes itself looks back as far as its policy says, which may have been changed since, or for ever.
CREATE FUNCTION wellhead_computed_since(of_table text, at timestamptz, OUT aggregate text, OUT since timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  own record;
  server record;
BEGIN
  SELECT a.view_name, at - a.refresh_from AS since INTO own
    FROM wellhead_aggregate a WHERE a.source = of_table ORDER BY 2 LIMIT 1;
  aggregate := own.view_name;
  since := own.since;
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    -- By version a policy is listed under the view or under the table that holds what was computed.
    EXECUTE
      'SELECT a.view_name, coalesce($2 - (j.config ->> ''start_offset'')::interval, ''-infinity'') AS since
       FROM timescaledb_information.continuous_aggregates a JOIN timescaledb_information.jobs j
         ON (j.hypertable_schema, j.hypertable_name) IN ((a.view_schema, a.view_name),
            (a.materialization_hypertable_schema, a.materialization_hypertable_name))
       WHERE a.hypertable_schema = current_schema() AND a.hypertable_name = $1
         AND j.proc_name = ''policy_refresh_continuous_aggregate'' ORDER BY 2 LIMIT 1' INTO server USING of_table, at;
    IF since IS NULL OR server.since < since THEN
      aggregate := server.view_name;
      since := server.since;
    END IF;
  END IF;
END
$$;

-- Whether a hypertable is divided by a device or the like as well. What drops its chunks, drop_chunks(), knows times only, and
-- takes all that have the same; to drop the table of a chunk by its name is another thing where it is compressed.
CREATE FUNCTION wellhead_is_divided(of_table text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  divided boolean := false;
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables
                            WHERE hypertable_schema = current_schema() AND hypertable_name = $1 AND num_dimensions > 1)'
      INTO divided USING of_table;
  END IF;
  RETURN divided;
END
$$;

-- Whether this chunk may go, as far as the calling statement sees.
CREATE FUNCTION wellhead_may_drop(of_table text, of_chunk text, chunk_until timestamptz, at timestamptz,
                                  OUT allowed boolean, OUT reason text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  facts wellhead_lifecycle;
  computed record;
  covered timestamptz;
  read_at timestamptz;
  arrival_unknown boolean;
BEGIN
  SELECT * INTO STRICT facts FROM wellhead_lifecycle l WHERE l.table_name = of_table;
  allowed := false;
  IF wellhead_is_divided(of_table) THEN
    reason := 'the hypertable is divided by more than time, and its chunks cannot be dropped one by one: drop them by hand';
    RETURN;
  END IF;
  -- A refresh finds nothing of what was dropped within its window, and makes nothing of what it held.
  SELECT c.* INTO computed FROM wellhead_computed_since(of_table, at) AS c;
  IF computed.since < chunk_until THEN
    reason := format('%s is still computed of what came since %s and would lose what it holds of this: keep the data longer, or '
                     'let it look back less far (refresh_from in wellhead_aggregate, and start_offset where the server has a '
                     'policy for it)', computed.aggregate, computed.since);
    RETURN;
  END IF;
  allowed := NOT facts.guarded;
  IF allowed THEN
    reason := 'it can be computed from what is kept elsewhere';
    RETURN;
  END IF;
  SELECT max(m.covered_until), max(m.as_of) FILTER (WHERE m.covered_until >= chunk_until)
    INTO covered, read_at FROM wellhead_archive_marker m WHERE m.table_name = of_table;
  IF read_at IS NULL THEN
    reason := CASE WHEN covered IS NULL THEN 'nothing of this table was archived or backed up'
                   ELSE format('archived or backed up only until %s', covered) END;
    RETURN;
  END IF;
  -- A row that does not tell when it was received may have come after a marker of months before. It is no older than its
  -- chunk's time, so a marker that is younger than that may have it.
  IF facts.arrival_column IS NULL THEN
    arrival_unknown := read_at < chunk_until;
  ELSE
    EXECUTE format('SELECT %1$I IS NULL FROM %2$s WHERE %1$I > $1 OR ($2 AND %1$I IS NULL) LIMIT 1', facts.arrival_column, of_chunk)
      INTO arrival_unknown USING read_at, read_at < chunk_until;
    -- It is null where there is no such row.
    IF NOT arrival_unknown THEN
      reason := format('rows were received after it was archived or backed up as of %s', read_at);
      RETURN;
    END IF;
  END IF;
  IF arrival_unknown THEN
    reason := format('when its rows were received is not known, and it was archived or backed up as of %s, before its time was '
                     'over', read_at);
    RETURN;
  END IF;
  allowed := true;
  reason := format('archived or backed up as of %s', read_at);
END
$$;

-- Every chunk that is past its time, of one table or of all, and whether it may go. Changes nothing.
CREATE OR REPLACE FUNCTION wellhead_expired(of_table text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS TABLE (table_name text, chunk text, range_from timestamptz, range_until timestamptz, allowed boolean, reason text)
LANGUAGE sql STABLE AS $$
  SELECT l.table_name, c.chunk, c.range_from, c.range_until, d.allowed, d.reason
  FROM wellhead_lifecycle l, wellhead_chunks(l.table_name) AS c,
       wellhead_may_drop(l.table_name, c.chunk, c.range_until, at) AS d
  WHERE l.keep IS NOT NULL AND (of_table IS NULL OR l.table_name = of_table) AND c.range_until <= at - l.keep
  ORDER BY l.table_name, c.range_until;
$$;

-- Drops what may go of one table, the oldest first, up to the first chunk that may not; with `force` that as well, where it
-- can be dropped by itself. Returns what was dropped, and what was not and why.
CREATE OR REPLACE FUNCTION wellhead_drop_expired(of_table text, force boolean DEFAULT false, at timestamptz DEFAULT now())
RETURNS TABLE (chunk text, range_from timestamptz, range_until timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql AS $$
DECLARE
  expired record;
  kept boolean := false;
  going text[] := '{}';
  gone bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'chunks are dropped at the isolation level READ COMMITTED only'
      USING HINT = 'Rows that others commit meanwhile are not to be seen in this transaction, and would be lost with their chunk.';
  END IF;
  PERFORM wellhead_maintenance_lock();
  force := force AND NOT wellhead_is_divided(of_table);
  FOR expired IN SELECT * FROM wellhead_expired(of_table, at) LOOP
    chunk := expired.chunk;
    range_from := expired.range_from;
    range_until := expired.range_until;
    IF (expired.allowed AND NOT kept) OR force THEN
      -- Readers go on meanwhile: to look may take as long as to read the chunk.
      EXECUTE format('LOCK TABLE %s IN SHARE MODE', chunk);
      SELECT d.allowed, d.reason INTO expired.allowed, expired.reason
        FROM wellhead_may_drop(of_table, expired.chunk, expired.range_until, at) AS d;
    END IF;
    dropped := (expired.allowed AND NOT kept) OR force;
    reason := CASE WHEN expired.allowed AND kept AND NOT force THEN 'an older chunk has to go first' ELSE expired.reason END;
    kept := kept OR NOT dropped;
    IF dropped THEN
      going := going || expired.chunk;
      UPDATE wellhead_lifecycle l SET dropped_before = greatest(l.dropped_before, expired.range_until)
        WHERE l.table_name = of_table;
      INSERT INTO wellhead_retention_log (table_name, chunk, range_from, range_until, forced, reason)
        VALUES (of_table, expired.chunk, expired.range_from, expired.range_until, NOT expired.allowed, expired.reason);
    END IF;
    RETURN NEXT;
  END LOOP;
  -- All of them at the end: whoever drops a partition keeps everybody from the whole table, and no chunk is to be read then.
  -- A writer that waits for a chunk it has the table of is in the way of that. The server finds it, and ends one of the two:
  -- the writer, which tries again, or this, which is tried again.
  FOR expired IN SELECT c.* FROM wellhead_chunks(of_table) AS c WHERE c.chunk = ANY (going) ORDER BY c.range_until LOOP
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = expired.chunk::regclass AND c.relispartition) THEN
      EXECUTE format('DROP TABLE %s', expired.chunk);
    ELSE
      EXECUTE 'SELECT count(*) FROM drop_chunks($1::regclass, older_than => $2, newer_than => $3)'
        INTO gone USING format('%I', of_table), expired.range_until, expired.range_from;
      IF gone <> 1 THEN
        RAISE EXCEPTION '% chunks have the time of %, which was to go alone', gone, expired.chunk USING HINT = 'Nothing was dropped.';
      END IF;
    END IF;
  END LOOP;
END
$$;
