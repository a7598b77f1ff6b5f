-- edition: apache, plain
--
-- A refresh that costs about what the rows cost that it computes, however large the chunks are that they lie in.
--
-- No index of a source begins with the time: one would slow every insert. A slice that is a small part of its chunks is
-- therefore read device by device, by the index on (device, time). Where devices are so many, or the slice so much of the
-- chunk, that this costs more than the chunk, the chunk is read from end to end as before.

-- What a slice of an aggregate replaces is found by its time; only refreshes write there, so that an index costs no insert
-- of records. The primary key begins with the device.
DO $$
DECLARE
  facts record;
BEGIN
  FOR facts IN SELECT a.view_name FROM wellhead_aggregate a LOOP
    EXECUTE format('CREATE INDEX %I ON %I (bucket)', facts.view_name || '_bucket_idx', facts.view_name);
  END LOOP;
END
$$;

-- The chunks of a table in which rows of this stretch of time may lie, with the default partition.
CREATE FUNCTION wellhead_chunks_of_slice(of_table text, range_from timestamptz, range_until timestamptz)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
  SELECT c.chunk::regclass FROM wellhead_chunks(of_table) AS c WHERE c.range_from < $3 AND c.range_until > $2
  UNION ALL
  SELECT i.inhrelid::regclass FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
    WHERE i.inhparent = format('%I', of_table)::regclass AND pg_get_expr(p.relpartbound, p.oid) = 'DEFAULT';
$$;

-- Whether rows of one device can be found by an index of this chunk, in the order of its devices.
CREATE FUNCTION wellhead_has_device_index(chunk regclass, device_column text, time_column text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
      JOIN pg_attribute d ON d.attrelid = x.indrelid AND d.attnum = x.indkey[0]
      JOIN pg_attribute t ON t.attrelid = x.indrelid AND t.attnum = x.indkey[1]
    WHERE x.indrelid = chunk AND x.indisvalid AND x.indpred IS NULL AND m.amname = 'btree'
      -- A row without a device would not be found.
      AND d.attname = device_column AND d.attnotnull AND x.indcollation[0] = d.attcollation AND t.attname = time_column);
$$;

CREATE FUNCTION wellhead_type_of_column(of_table regclass, of_column text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = of_table AND a.attname = of_column;
$$;

-- The devices of a chunk in their order, the first `most` of them: one descent of the index for each.
CREATE FUNCTION wellhead_devices_of_chunk(chunk regclass, device_column text, most bigint) RETURNS text[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  devices text[];
BEGIN
  EXECUTE format(
    'WITH RECURSIVE walk (device) AS (
       (SELECT %1$I FROM %2$s ORDER BY %1$I LIMIT 1)
       UNION ALL
       SELECT following.device FROM walk CROSS JOIN LATERAL (
         SELECT c.%1$I AS device FROM %2$s AS c WHERE c.%1$I > walk.device ORDER BY c.%1$I LIMIT 1) AS following)
     SELECT array_agg(device::text) FROM (SELECT device FROM walk LIMIT $1) AS listed', device_column, chunk)
    INTO devices USING most;
  RETURN coalesce(devices, '{}');
END
$$;

-- About how many devices a chunk has, from a few of its pages: of n devices that one meets at random among D, about n * n / 2D
-- are met again. Rows of one device that lie beside each other count once. A guess that is too low where some devices have
-- most of the rows, and good enough to tell ten thousand from a hundred thousand.
CREATE FUNCTION wellhead_guess_devices(chunk regclass, device_column text, at_most bigint) RETURNS double precision
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  rows_of_page CONSTANT integer := 40;
  pages bigint := pg_relation_size(chunk) / current_setting('block_size')::bigint;
  pages_sampled bigint := 1 + ceil(sqrt(40.0 * at_most) / rows_of_page);
  met double precision;
  met_once double precision;
BEGIN
  EXECUTE format(
    'SELECT count(*), count(DISTINCT s.device) FROM (
       SELECT DISTINCT split_part(ctid::text, '','', 1) AS page, %I AS device FROM %s WHERE ctid = ANY ($1)) AS s',
    device_column, chunk) INTO met, met_once
    -- Pages at even distances would be those of the same devices wherever all devices send in turn.
    USING (SELECT array_agg(format('(%s,%s)', abs(hashint8(n)::bigint) * pages >> 31, line)::tid)
           FROM generate_series(1, pages_sampled) AS n, generate_series(1, rows_of_page) AS line);
  RETURN met * met / (2 * greatest(met - met_once, 1));
END
$$;

-- The share of a chunk's time that lies in the slice, 0 to 1. Times are those of a few devices' first and last rows: the
-- chunk of today ends now, and one that was filled in an hour has an hour.
CREATE FUNCTION wellhead_share_of_chunk(chunk regclass, device_column text, time_column text, devices text[],
                                        range_from timestamptz, range_until timestamptz) RETURNS double precision
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  sample text[];
  first_row timestamptz;
  last_row timestamptz;
BEGIN
  SELECT array_agg(devices[1 + n * (cardinality(devices) - 1) / 7]) INTO sample FROM generate_series(0, 7) AS n;
  EXECUTE format(
    'SELECT min(ends.first_row), max(ends.last_row) FROM unnest($1) AS s (device) CROSS JOIN LATERAL (
       SELECT (SELECT %3$I FROM %1$s WHERE %2$I = s.device::%4$s ORDER BY %3$I LIMIT 1) AS first_row,
              (SELECT %3$I FROM %1$s WHERE %2$I = s.device::%4$s ORDER BY %3$I DESC LIMIT 1) AS last_row) AS ends',
    chunk, device_column, time_column, wellhead_type_of_column(chunk, device_column))
    INTO first_row, last_row USING sample;
  IF first_row IS NULL OR last_row < range_from OR first_row >= range_until THEN
    RETURN 0;
  END IF;
  -- Of infinite times, which a default partition may have, there are no shares.
  IF first_row >= range_from AND last_row < range_until OR NOT isfinite(first_row) OR NOT isfinite(last_row) THEN
    RETURN 1;
  END IF;
  RETURN extract(epoch FROM least(last_row, range_until) - greatest(first_row, range_from))
         / extract(epoch FROM last_row - first_row);
END
$$;

-- The devices by which a slice of an aggregate is to be read, or null where its chunks are to be read from end to end. Costs
-- are counted in pages read from end to end: a device is worth six of them, its descents here and those to its rows; a row
-- that is found by the index is worth about ten that are met on the way. That there are too many is guessed before they are
-- all listed.
CREATE FUNCTION wellhead_devices_of_slice(of_aggregate text, range_from timestamptz, range_until timestamptz) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  pages_of_device CONSTANT bigint := 6;
  pages_of_touched_page CONSTANT bigint := 10;
  -- What is kept of them in memory is some tens of MB.
  devices_most CONSTANT bigint := 1000000;
  facts record;
  chunks regclass[];
  pages bigint[];
  indexed boolean;
  pages_in_all bigint;
  pages_touched double precision := 0;
  most bigint;
  devices text[] := '{}';
  devices_of_chunk text[];
BEGIN
  -- By convention the device has the same name in the source and in the aggregate.
  SELECT l.table_name, l.time_column, l.segment_by AS device_column INTO facts
    FROM wellhead_aggregate a JOIN wellhead_lifecycle l ON l.table_name = a.source
    JOIN pg_attribute d ON d.attrelid = format('%I', of_aggregate)::regclass AND d.attname = l.segment_by
    WHERE a.view_name = of_aggregate;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- The table before its chunks, which is the order in which everybody else locks them.
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS SHARE MODE', facts.table_name);
  SELECT array_agg(c), array_agg(pg_relation_size(c) / current_setting('block_size')::bigint),
         bool_and(wellhead_has_device_index(c, facts.device_column, facts.time_column)),
         sum(pg_relation_size(c)) / current_setting('block_size')::bigint
    INTO chunks, pages, indexed, pages_in_all
    FROM wellhead_chunks_of_slice(facts.table_name, range_from, range_until) AS c;
  IF indexed IS NOT TRUE THEN
    RETURN NULL;
  END IF;
  FOR n IN 1 .. cardinality(chunks) LOOP
    most := least(pages_in_all / pages_of_device, devices_most) - cardinality(devices);
    devices_of_chunk := wellhead_devices_of_chunk(chunks[n], facts.device_column, most / 10);
    IF cardinality(devices_of_chunk) >= most / 10 THEN
      IF wellhead_guess_devices(chunks[n], facts.device_column, most) > most THEN
        RETURN NULL;
      END IF;
      devices_of_chunk := wellhead_devices_of_chunk(chunks[n], facts.device_column, most + 1);
      IF cardinality(devices_of_chunk) > most THEN
        RETURN NULL;
      END IF;
    END IF;
    devices := devices || devices_of_chunk;
    pages_touched := pages_touched + pages[n] * wellhead_share_of_chunk(
      chunks[n], facts.device_column, facts.time_column, devices_of_chunk, range_from, range_until);
  END LOOP;
  IF pages_of_device * cardinality(devices) + pages_of_touched_page * pages_touched > pages_in_all THEN
    RETURN NULL;
  END IF;
  RETURN devices;
END
$$;

-- Computes one slice of an aggregate again, the newest of those that are due: whole buckets within its window, or with
-- `late` also those before it. Returns what it did; no row where nothing is due. To be repeated until then, each time in a
-- transaction of its own. Whoever repeats it says by `until` where the last slice began: what is written to that again is left
-- for another time, or there would be no end to it while data stream in.
DROP FUNCTION wellhead_refresh(text, boolean, timestamptz);
CREATE FUNCTION wellhead_refresh(of_aggregate text, late boolean DEFAULT false, at timestamptz DEFAULT now(),
                                 until timestamptz DEFAULT 'infinity')
RETURNS TABLE (range_from timestamptz, range_until timestamptz, rows_deleted bigint, rows_inserted bigint)
-- What it sets below is so put back at its end.
LANGUAGE plpgsql SET enable_seqscan = on AS $$
DECLARE
  facts wellhead_aggregate;
  devices text[];
  device_column text;
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
  due_until := wellhead_floor(facts.bucket_width, least(at - facts.refresh_until, until));
  -- The window may have moved beyond it.
  IF due_until <= due_from THEN
    RETURN;
  END IF;
  due := pending * tstzmultirange(tstzrange(due_from, due_until));
  IF isempty(due) THEN
    RETURN;
  END IF;
  SELECT upper(r), greatest(lower(r), wellhead_floor(facts.bucket_width, upper(r) - facts.slice))
    INTO range_until, range_from FROM unnest(due) AS r ORDER BY upper(r) DESC LIMIT 1;

  -- A chunk that was made today has no statistics yet, and the planner would read it from end to end.
  PERFORM set_config('enable_seqscan', 'off', true);
  EXECUTE format('DELETE FROM %I WHERE bucket >= $1 AND bucket < $2', of_aggregate) USING range_from, range_until;
  GET DIAGNOSTICS rows_deleted = ROW_COUNT;
  devices := wellhead_devices_of_slice(of_aggregate, range_from, range_until);
  IF devices IS NULL THEN
    PERFORM set_config('enable_seqscan', 'on', true);
    EXECUTE format('INSERT INTO %I %s', of_aggregate, wellhead_aggregate_query(of_aggregate, range_from, range_until));
  ELSE
    SELECT l.segment_by INTO STRICT device_column FROM wellhead_lifecycle l WHERE l.table_name = facts.source;
    -- The planner moves the condition down to where the rows are read. It must not see the devices themselves, nor how many
    -- they are: it would look up each in its statistics.
    EXECUTE format('INSERT INTO %I SELECT * FROM (%s) AS computed WHERE computed.%I = ANY ((SELECT $1)::%s[])', of_aggregate,
                   wellhead_aggregate_query(of_aggregate, range_from, range_until), device_column,
                   wellhead_type_of_column(format('%I', of_aggregate)::regclass, device_column)) USING devices;
  END IF;
  GET DIAGNOSTICS rows_inserted = ROW_COUNT;

  PERFORM wellhead_set_pending(of_aggregate, pending - tstzmultirange(tstzrange(range_from, range_until)));
  RETURN NEXT;
END
$$;
