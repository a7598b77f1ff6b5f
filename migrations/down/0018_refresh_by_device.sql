DO $$
DECLARE
  facts record;
BEGIN
  FOR facts IN SELECT a.view_name FROM wellhead_aggregate a LOOP
    EXECUTE format('DROP INDEX IF EXISTS %I', facts.view_name || '_bucket_idx');
  END LOOP;
END
$$;

-- Computes one slice of an aggregate again, the newest of those that are due: whole buckets within its window, or with
-- `late` also those before it. Returns what it did; no row where nothing is due. To be repeated until then, each time in a
-- transaction of its own.
DROP FUNCTION wellhead_refresh(text, boolean, timestamptz, timestamptz);
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

DROP FUNCTION wellhead_devices_of_slice(text, timestamptz, timestamptz);
DROP FUNCTION wellhead_share_of_chunk(regclass, text, text, text[], timestamptz, timestamptz);
DROP FUNCTION wellhead_guess_devices(regclass, text, bigint);
DROP FUNCTION wellhead_devices_of_chunk(regclass, text, bigint);
DROP FUNCTION wellhead_type_of_column(regclass, text);
DROP FUNCTION wellhead_has_device_index(regclass, text, text);
DROP FUNCTION wellhead_chunks_of_slice(text, timestamptz, timestamptz);
