-- Tables that were there before wellhead are made its own while they are written to, and chunks are made ahead of time.
--
-- Where the conversion of a table stands: see `wellhead migrate convert`.
--
--   prepared   its new table lies empty in the schema wellhead_next, nothing else is touched
--   copying    changes to the old table are noted, and its rows are copied
--   copied     every row is copied, and what was noted is brought over as it comes
--   swapped    the new table has the name, the old one is kept as table_name || '_before'
--   finished   the old one is gone

CREATE TABLE wellhead_conversion (
  table_name      text        PRIMARY KEY,
  state           text        NOT NULL CHECK (state IN ('prepared', 'copying', 'copied', 'swapped', 'finished')),
  position        text[],
  last_key        text[],
  rows_expected   bigint      NOT NULL DEFAULT 0,
  rows_copied     bigint      NOT NULL DEFAULT 0,
  later           text[]      NOT NULL DEFAULT '{}',
  kept_columns    text[]      NOT NULL DEFAULT '{}',
  dropped_columns text[]      NOT NULL DEFAULT '{}',
  changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE wellhead_conversion IS 'Where the conversion of each table stands; written by `wellhead migrate convert` only';
COMMENT ON COLUMN wellhead_conversion.position IS 'the key up to which rows are copied';
COMMENT ON COLUMN wellhead_conversion.last_key IS 'the greatest key when copying began; greater ones were noted';
COMMENT ON COLUMN wellhead_conversion.later IS 'indexes of the new table, made when the rows are in it';
COMMENT ON COLUMN wellhead_conversion.kept_columns IS 'columns that were carried along or kept their default; no migration makes them so';
COMMENT ON COLUMN wellhead_conversion.dropped_columns IS 'those of them that go with the old table';

-- Makes the chunk of a hypertable in which `at` lies and `ahead` after it, so that writers never make one: those that do
-- lock the hypertable, and what its foreign keys point at. Returns what was made.
--
-- A chunk is made by a row that goes again in the same transaction, so no snapshot ever has it; only a logical decoder that
-- publishes the chunks is told of its coming and going. It is a copy of one that is there, since that keeps every constraint;
-- an empty table gets no chunks, and neither does one with triggers, which would tell of a row that never was. (The server's
-- own create_chunk() is not in the Apache edition.)
CREATE FUNCTION wellhead_make_chunks(of_table text, at timestamptz DEFAULT now(), ahead integer DEFAULT 2)
RETURNS TABLE (chunk text, range_from timestamptz, range_until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  facts wellhead_lifecycle;
  moment timestamptz;
  columns text;
  placed_in regclass;
  placed tid;
  rows_gone bigint;
BEGIN
  PERFORM wellhead_maintenance_lock();
  SELECT * INTO STRICT facts FROM wellhead_lifecycle l WHERE l.table_name = of_table;
  IF NOT EXISTS (SELECT FROM timescaledb_information.hypertables h
                 WHERE h.hypertable_schema = current_schema() AND h.hypertable_name = of_table)
     OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass(quote_ident(of_table)) AND NOT t.tgisinternal
                AND t.tgname NOT LIKE 'ts\_%') THEN
    RETURN;
  END IF;
  -- The writers' own lock for those that may make a chunk, before any table is touched: a flush that makes one locks the same
  -- tables in another order.
  PERFORM pg_advisory_xact_lock(2003135596, 1) FROM (
    SELECT FROM generate_series(0, ahead) AS n WHERE NOT EXISTS (
      SELECT FROM wellhead_chunks(of_table) c
      WHERE c.range_from <= at + n * facts.chunk_interval AND c.range_until > at + n * facts.chunk_interval) LIMIT 1) AS missing;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns FROM pg_attribute a
    WHERE a.attrelid = to_regclass(quote_ident(of_table)) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND a.attname <> facts.time_column;
  FOR moment IN SELECT at + n * facts.chunk_interval FROM generate_series(0, ahead) AS n LOOP
    CONTINUE WHEN EXISTS (SELECT FROM wellhead_chunks(of_table) c WHERE c.range_from <= moment AND c.range_until > moment);
    placed := NULL;
    EXECUTE format('INSERT INTO %1$I (%2$I, %3$s) OVERRIDING SYSTEM VALUE SELECT $1, %3$s FROM %1$I LIMIT 1 '
                   'RETURNING tableoid, ctid', of_table, facts.time_column, columns) INTO placed_in, placed USING moment;
    EXIT WHEN placed IS NULL;
    -- By its place and nothing else: the column may hold less of the time than was asked for, and lie in the next chunk then.
    EXECUTE format('DELETE FROM %s WHERE ctid = $1', placed_in) USING placed;
    GET DIAGNOSTICS rows_gone = ROW_COUNT;
    IF rows_gone <> 1 THEN
      RAISE EXCEPTION 'the row that made a chunk of % is not at % of % any more', of_table, placed, placed_in
        USING HINT = 'Nothing was changed, and writers make their chunks themselves.';
    END IF;
    SELECT c.* INTO STRICT chunk, range_from, range_until FROM wellhead_chunks(of_table) c WHERE c.chunk::regclass = placed_in;
    RETURN NEXT;
  END LOOP;
END
$$;
