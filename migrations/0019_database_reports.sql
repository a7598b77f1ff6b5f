-- Reports of the database itself: what lies where and how large it is, how it is used, what is behind.
--
-- The same views with the same columns on every server. What only some servers can tell is null on the others, and
-- database_notes says why. The bodies are looked up when they run, so that nothing of the tables depends on a report, and a
-- server that changes its edition is reported as what it is. Whoever asks needs the rights to read what is reported.

-- Every relation that holds data of this schema's tables: the tables themselves (chunk is null), their chunks and partitions.
-- A continuous aggregate is named as its users name it. Sizes are with what is compressed.
CREATE FUNCTION wellhead_database_relations()
RETURNS TABLE (table_name text, kind text, relation oid, chunk text, range_from timestamptz, range_until timestamptz,
               compressed boolean, heap_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  here oid := quote_ident(current_schema())::regnamespace;
  hypertables name[] := '{}';
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    EXECUTE 'SELECT coalesce(array_agg(hypertable_name), ''{}'') FROM timescaledb_information.hypertables
             WHERE hypertable_schema = current_schema()' INTO hypertables;
    RETURN QUERY EXECUTE $sql$
      WITH held AS MATERIALIZED (
        SELECT h.hypertable_name::text AS name, 'hypertable' AS kind, format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass AS root,
               h.hypertable_schema AS in_schema, h.hypertable_name AS in_table
        FROM timescaledb_information.hypertables h WHERE h.hypertable_schema = current_schema()
        UNION ALL
        SELECT a.view_name::text, 'continuous aggregate',
               format('%I.%I', a.materialization_hypertable_schema, a.materialization_hypertable_name)::regclass,
               a.materialization_hypertable_schema, a.materialization_hypertable_name
        FROM timescaledb_information.continuous_aggregates a WHERE a.view_schema = current_schema()),
      chunk AS MATERIALIZED (SELECT * FROM timescaledb_information.chunks),
      size AS MATERIALIZED (SELECT h.*, s.* FROM held h, LATERAL chunks_detailed_size(h.root) s)
      SELECT h.name, h.kind, h.root::oid, NULL, NULL::timestamptz, NULL::timestamptz, NULL::boolean,
             pg_relation_size(h.root), pg_indexes_size(h.root), 0::bigint, pg_total_relation_size(h.root)
      FROM held h
      UNION ALL
      SELECT s.name, s.kind, to_regclass(format('%I.%I', s.chunk_schema, s.chunk_name))::oid,
             format('%I.%I', s.chunk_schema, s.chunk_name), c.range_start, c.range_end, c.is_compressed,
             s.table_bytes, s.index_bytes, coalesce(s.toast_bytes, 0), s.total_bytes
      FROM size s JOIN chunk c ON c.chunk_schema = s.chunk_schema AND c.chunk_name = s.chunk_name
    $sql$;
  END IF;
  RETURN QUERY
    SELECT root.relname::text, CASE root.relkind WHEN 'p' THEN 'partitioned table' ELSE 'table' END, part.oid,
           CASE WHEN part.oid <> root.oid THEN format('%I.%I', part.relnamespace::regnamespace, part.relname) END,
           coalesce((regexp_match(b.bound, 'FROM \(''([^'']*)''\)'))[1], CASE WHEN b.bound LIKE '%FROM (MINVALUE)%' THEN '-infinity' END)::timestamptz,
           (regexp_match(b.bound, 'TO \(''([^'']*)''\)'))[1]::timestamptz, NULL::boolean,
           coalesce(pg_relation_size(part.oid), 0), coalesce(pg_indexes_size(part.oid), 0),
           coalesce(pg_total_relation_size(nullif(part.reltoastrelid, 0)), 0), coalesce(pg_total_relation_size(part.oid), 0)
    FROM pg_class root, pg_partition_tree(root.oid) tree JOIN pg_class part ON part.oid = tree.relid,
         pg_get_expr(part.relpartbound, part.oid) AS b (bound)
    WHERE root.relnamespace = here AND root.relkind = 'p' AND NOT root.relispartition
    UNION ALL
    SELECT t.relname::text, 'table', t.oid, NULL, NULL, NULL, NULL, coalesce(pg_relation_size(t.oid), 0), coalesce(pg_indexes_size(t.oid), 0),
           coalesce(pg_total_relation_size(nullif(t.reltoastrelid, 0)), 0), coalesce(pg_total_relation_size(t.oid), 0)
    FROM pg_class t
    WHERE t.relnamespace = here AND t.relkind = 'r' AND NOT t.relispartition AND t.relname <> ALL (hypertables)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e');
END
$$;
COMMENT ON FUNCTION wellhead_database_relations() IS 'every table, chunk and partition of this schema, with its size';

CREATE VIEW database_chunks AS
  SELECT table_name, chunk, range_from, range_until, compressed, heap_bytes, index_bytes, toast_bytes, total_bytes
  FROM wellhead_database_relations() WHERE chunk IS NOT NULL;
COMMENT ON VIEW database_chunks IS 'chunks and partitions with their sizes, what is compressed included';

-- What the tables' compressed chunks took before and take now, as the server noted it when it compressed them. No rows where
-- the server does not compress. Rows that were written compressed have no size from before.
CREATE FUNCTION wellhead_database_compression()
RETURNS TABLE (table_name text, compressed_chunks bigint, before_bytes bigint, after_bytes bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  IF current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale'
     OR NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE $sql$
    SELECT h.name, count(*) FILTER (WHERE s.compression_status = 'Compressed'),
           sum(s.before_compression_total_bytes)::bigint, sum(s.after_compression_total_bytes)::bigint
    FROM (SELECT hypertable_name::text AS name, format('%I.%I', hypertable_schema, hypertable_name)::regclass AS root
          FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()
          UNION ALL
          SELECT view_name::text, format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
          FROM timescaledb_information.continuous_aggregates WHERE view_schema = current_schema()) AS h,
         LATERAL chunk_compression_stats(h.root) s
    GROUP BY h.name
  $sql$;
END
$$;

-- Dead rows are counted by the server as it goes. Bloat is an estimate: the pages a relation had at its last vacuum or
-- analyze, less those that its rows of that time take at their mean width. Padding between columns is not known, so a table
-- without any bloat may show some percent. Null where nothing was analyzed, or where the role may not read the columns.
CREATE FUNCTION wellhead_database_tables()
RETURNS TABLE (table_name text, kind text, chunks bigint, compressed_chunks bigint, range_from timestamptz, range_until timestamptz,
               heap_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint,
               live_rows bigint, dead_rows bigint, dead_percent double precision,
               bloat_bytes bigint, bloat_percent double precision,
               before_compression_bytes bigint, after_compression_bytes bigint, compression_percent double precision,
               cache_hit_percent double precision, sequential_scans bigint, index_scans bigint,
               last_vacuum timestamptz, last_analyze timestamptz)
LANGUAGE sql STABLE AS $$
  WITH relations AS MATERIALIZED (SELECT * FROM wellhead_database_relations()),
  width AS MATERIALIZED (
    SELECT c.oid AS relation, c.relpages, c.reltuples, c.relnatts, w.data_bytes, w.nulls,
           coalesce((regexp_match(c.reloptions::text, 'fillfactor=(\d+)'))[1]::integer, 100) AS fill
    FROM relations r JOIN pg_class c ON c.oid = r.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    -- One by one: the planner takes the names of chunks for rarer than they are, and goes through all statistics for each.
    CROSS JOIN LATERAL (SELECT sum(s.avg_width * (1 - s.null_frac)) AS data_bytes, bool_or(s.null_frac > 0) AS nulls FROM pg_stats s
                        WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited) w
    WHERE c.reltuples > 0 AND c.relkind = 'r' AND w.data_bytes > 0 AND has_table_privilege(c.oid, 'SELECT')),
  bloat AS (
    SELECT w.relation, w.relpages * block.bytes AS known_bytes,
           greatest(0, w.relpages - ceil(w.reltuples * (4 + 8 * ceil((23 + CASE WHEN w.nulls THEN (w.relnatts + 7) / 8 ELSE 0 END) / 8.0)
                                                        + 8 * ceil(w.data_bytes / 8))
                                         / ((block.bytes - 24) * w.fill / 100.0))) * block.bytes AS bloat_bytes
    FROM width w, (SELECT current_setting('block_size')::bigint) AS block (bytes)),
  summed AS (
    SELECT r.table_name, min(r.kind) AS kind, count(r.chunk) AS chunks, count(*) FILTER (WHERE r.compressed) AS compressed_chunks,
           min(r.range_from) AS range_from, max(r.range_until) AS range_until, sum(r.heap_bytes)::bigint AS heap_bytes,
           sum(r.index_bytes)::bigint AS index_bytes, sum(r.toast_bytes)::bigint AS toast_bytes, sum(r.total_bytes)::bigint AS total_bytes,
           sum(t.n_live_tup)::bigint AS live_rows, sum(t.n_dead_tup)::bigint AS dead_rows,
           sum(b.bloat_bytes)::bigint AS bloat_bytes, sum(b.known_bytes)::bigint AS known_bytes,
           sum(coalesce(o.heap_blks_hit, 0) + coalesce(o.idx_blks_hit, 0)) AS hits,
           sum(coalesce(o.heap_blks_read, 0) + coalesce(o.idx_blks_read, 0)) AS reads,
           sum(t.seq_scan)::bigint AS sequential_scans, sum(t.idx_scan)::bigint AS index_scans,
           max(greatest(t.last_vacuum, t.last_autovacuum)) AS last_vacuum, max(greatest(t.last_analyze, t.last_autoanalyze)) AS last_analyze
    FROM relations r LEFT JOIN pg_stat_all_tables t ON t.relid = r.relation LEFT JOIN pg_statio_all_tables o ON o.relid = r.relation
    LEFT JOIN bloat b ON b.relation = r.relation GROUP BY r.table_name)
  SELECT s.table_name, s.kind, s.chunks, CASE WHEN c.table_name IS NOT NULL THEN s.compressed_chunks END, s.range_from, s.range_until,
         s.heap_bytes, s.index_bytes, s.toast_bytes, s.total_bytes, s.live_rows, s.dead_rows,
         100.0::double precision * s.dead_rows / nullif(s.live_rows + s.dead_rows, 0),
         s.bloat_bytes, 100.0::double precision * s.bloat_bytes / nullif(s.known_bytes, 0),
         c.before_bytes, c.after_bytes, 100.0::double precision * (1 - c.after_bytes::double precision / nullif(c.before_bytes, 0)),
         100.0::double precision * s.hits / nullif(s.hits + s.reads, 0), s.sequential_scans, s.index_scans, s.last_vacuum, s.last_analyze
  FROM summed s LEFT JOIN wellhead_database_compression() c ON c.table_name = s.table_name;
$$;
CREATE VIEW database_tables AS SELECT * FROM wellhead_database_tables();
COMMENT ON VIEW database_tables IS 'size, bloat (estimated), compression and use of each table, all its chunks together';

-- Indexes of chunks belong to the table's index of the same definition, in which the server writes constants in more than one way.
CREATE FUNCTION wellhead_database_indexes()
RETURNS TABLE (table_name text, index_name text, is_unique boolean, is_valid boolean, definition text, index_bytes bigint, scans bigint,
               rows_read bigint, cache_hit_percent double precision)
LANGUAGE sql STABLE AS $$
  SELECT x.table_name, coalesce(string_agg(DISTINCT x.name, ', ') FILTER (WHERE x.chunk IS NULL), 'of chunks only: ' || min(x.name)),
         x.indisunique, bool_and(x.indisvalid), coalesce(min(x.definition) FILTER (WHERE x.chunk IS NULL), min(x.definition)), sum(x.bytes)::bigint, sum(x.scans)::bigint, sum(x.rows_read)::bigint,
         100.0::double precision * sum(x.hits) / nullif(sum(x.hits) + sum(x.reads), 0)
  FROM (
    SELECT r.table_name, r.chunk, c.relname::text AS name, i.indisunique, i.indisvalid,
           regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') AS definition,
           CASE c.relkind WHEN 'i' THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes,
           s.idx_scan AS scans, s.idx_tup_read AS rows_read, o.idx_blks_hit AS hits, o.idx_blks_read AS reads
    FROM wellhead_database_relations() r JOIN pg_index i ON i.indrelid = r.relation JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid LEFT JOIN pg_statio_all_indexes o ON o.indexrelid = i.indexrelid) AS x
  GROUP BY x.table_name, x.indisunique, regexp_replace(x.definition, '::(double precision|[a-z]+)|[()'' ]', '', 'g');
$$;
CREATE VIEW database_indexes AS SELECT * FROM wellhead_database_indexes();
COMMENT ON VIEW database_indexes IS 'size and use of each index, those of all chunks together';

CREATE VIEW database_overview AS
  SELECT d.datname::text AS database_name, current_setting('server_version') AS postgresql,
         (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'timescaledb') AS timescaledb,
         CASE WHEN NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'timescaledb') THEN 'plain'
              WHEN current_setting('timescaledb.license', true) = 'timescale' THEN 'community' ELSE 'apache' END AS edition,
         pg_database_size(d.datid) AS database_bytes,
         100.0::double precision * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0) AS cache_hit_percent,
         d.numbackends AS connections, current_setting('max_connections')::integer AS connections_max,
         d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks, d.temp_bytes AS temporary_bytes,
         (SELECT extract(epoch FROM now() - min(a.xact_start))::double precision FROM pg_stat_activity a
          WHERE a.datid = d.datid AND a.pid <> pg_backend_pid()) AS oldest_transaction_seconds,
         d.stats_reset AS counted_since
  FROM pg_stat_database d WHERE d.datname = current_database();
COMMENT ON VIEW database_overview IS 'this database as a whole; counts are since counted_since';

-- What each aggregate has yet to compute. Within the window its refreshes look at, `complete_until` is the time before which
-- everything that was written is in it; what came later than its window is told apart.
CREATE FUNCTION wellhead_database_aggregates(at timestamptz DEFAULT now())
RETURNS TABLE (view_name text, kind text, refresh_every interval, complete_until timestamptz, lag_seconds double precision,
               due_seconds double precision, late_seconds double precision, pending_ranges bigint, log_rows bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  facts record;
  window_from timestamptz;
  due_until timestamptz;
  pending tstzmultirange;
  due tstzmultirange;
  source_id integer;
BEGIN
  FOR facts IN
    SELECT a.*, coalesce(wellhead_ceiling(a.bucket_width, l.dropped_before), '-infinity') AS gone_before, c.relkind
    FROM wellhead_aggregate a JOIN wellhead_lifecycle l ON l.table_name = a.source
    JOIN pg_class c ON c.relname = a.view_name AND c.relnamespace = quote_ident(current_schema())::regnamespace
    ORDER BY a.bucket_width
  LOOP
    view_name := facts.view_name;
    refresh_every := facts.refresh_every;
    kind := CASE facts.relkind WHEN 'v' THEN 'continuous aggregate' ELSE 'table' END;
    window_from := wellhead_ceiling(facts.bucket_width, at - facts.refresh_from);
    due_until := wellhead_floor(facts.bucket_width, at - facts.refresh_until);
    IF kind = 'table' THEN
      SELECT count(*) INTO log_rows FROM wellhead_invalidation i WHERE i.source = facts.source;
      SELECT range_agg(r.touched) INTO pending FROM (
        SELECT tstzrange(p.range_from, p.range_until) AS touched FROM wellhead_invalidation_pending p WHERE p.view_name = facts.view_name
        UNION ALL
        SELECT tstzrange(wellhead_floor(facts.bucket_width, i.range_from), wellhead_ceiling(facts.bucket_width, i.range_until))
        FROM wellhead_invalidation i WHERE i.source = facts.source) AS r;
    ELSE
      SELECT l.log_rows, l.pending INTO log_rows, pending FROM wellhead_database_server_log(facts.view_name, at) l;
    END IF;
    pending := coalesce(pending, '{}') * tstzmultirange(tstzrange(facts.gone_before, NULL));
    due := pending * tstzmultirange(tstzrange(window_from, due_until));
    pending_ranges := (SELECT count(*) FROM unnest(pending));
    complete_until := coalesce(lower(due), due_until);
    lag_seconds := extract(epoch FROM at - complete_until);
    due_seconds := (SELECT coalesce(extract(epoch FROM sum(upper(r) - lower(r))), 0) FROM unnest(due) AS r);
    late_seconds := (SELECT coalesce(extract(epoch FROM sum(upper(r) - lower(r))), 0)
                     FROM unnest(pending * tstzmultirange(tstzrange('-infinity', window_from))) AS r WHERE isfinite(lower(r)));
    RETURN NEXT;
  END LOOP;
END
$$;

-- The server's own log of what a continuous aggregate has yet to compute: what was told of its source since the last refresh,
-- and what was moved to the aggregate already. The latter always has a range without an end, behind what was refreshed.
CREATE FUNCTION wellhead_database_server_log(of_aggregate text, at timestamptz)
RETURNS TABLE (log_rows bigint, pending tstzmultirange) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY EXECUTE $sql$
    -- Of a source without any chunk the server says that all time is to be computed.
    WITH aggregate AS (
      SELECT c.mat_hypertable_id AS id, c.raw_hypertable_id AS source FROM _timescaledb_catalog.continuous_agg c
      JOIN _timescaledb_catalog.hypertable r ON r.id = c.raw_hypertable_id
      JOIN timescaledb_information.hypertables h ON h.hypertable_schema = r.schema_name AND h.hypertable_name = r.table_name
      WHERE c.user_view_schema = current_schema() AND c.user_view_name = $1 AND h.num_chunks > 0),
    facts AS (SELECT bucket_width AS width FROM wellhead_aggregate WHERE view_name = $1),
    -- In microseconds since 1970; what lies before the first that PostgreSQL knows stands for "always".
    ends AS (SELECT -210866803200000000 AS first, (extract(epoch FROM $2) * 1000000)::bigint AS last),
    touched AS (
      SELECT lowest_modified_value AS least, greatest_modified_value AS most, false AS moved
      FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log l JOIN aggregate a ON l.hypertable_id = a.source
      UNION ALL
      SELECT lowest_modified_value, greatest_modified_value, true
      FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log l JOIN aggregate a ON l.materialization_id = a.id),
    ranges AS (
      SELECT tstzrange(CASE WHEN t.least > e.first THEN wellhead_floor(f.width, to_timestamp(t.least / 1000000.0)) ELSE '-infinity' END,
                       wellhead_ceiling(f.width, to_timestamp((least(t.most, e.last) + 1) / 1000000.0))) AS r
      FROM touched t, facts f, ends e WHERE t.most > e.first AND t.least < e.last)
    SELECT (SELECT count(*) FROM touched WHERE NOT moved), (SELECT range_agg(r) FROM ranges WHERE NOT isempty(r))
  $sql$ USING of_aggregate, at;
END
$$;
CREATE VIEW database_aggregates AS SELECT * FROM wellhead_database_aggregates();
COMMENT ON VIEW database_aggregates IS 'how far each aggregate is behind what was written';

-- Jobs of the server: policies and actions of users, without the extension's own. No rows without TimescaleDB.
CREATE FUNCTION wellhead_database_jobs()
RETURNS TABLE (job_id integer, job_name text, table_name text, scheduled boolean, every interval, last_status text,
               last_start timestamptz, next_start timestamptz, runs bigint, failures bigint, last_error text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE $sql$
    SELECT j.job_id, j.proc_name::text, coalesce(a.view_name, j.hypertable_name)::text, j.scheduled, j.schedule_interval,
           s.last_run_status, s.last_run_started_at, CASE WHEN isfinite(s.next_start) THEN s.next_start END, coalesce(s.total_runs, 0),
           coalesce(s.total_failures, 0),
           (SELECT e.err_message FROM timescaledb_information.job_errors e WHERE e.job_id = j.job_id ORDER BY e.finish_time DESC LIMIT 1)
    FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
    LEFT JOIN timescaledb_information.continuous_aggregates a
      ON a.materialization_hypertable_schema = j.hypertable_schema AND a.materialization_hypertable_name = j.hypertable_name
    WHERE j.job_id >= 1000
  $sql$;
END
$$;
CREATE VIEW database_jobs AS SELECT * FROM wellhead_database_jobs();
COMMENT ON VIEW database_jobs IS 'runs and failures of the server''s jobs';

-- The database knows when each lane last committed, not whether there was something to commit: of that the node tells
-- (wellhead_shard_lag_batches). The newest epoch is one of a node: that of the journal that committed last, so that a journal that
-- was replaced does not count beside the one that took its place.
CREATE FUNCTION wellhead_database_lanes()
RETURNS TABLE (node_id text, journal_id uuid, epoch integer, reactor integer, shard integer, newest_epoch boolean, sequence bigint,
               updated_at timestamptz, idle_seconds double precision)
LANGUAGE sql STABLE AS $$
  SELECT p.node_id, p.journal_id, p.epoch, p.reactor, p.shard,
         p.epoch = max(p.epoch) OVER (PARTITION BY p.journal_id)
         AND p.journal_id = first_value(p.journal_id) OVER (PARTITION BY p.node_id ORDER BY p.updated_at DESC, p.journal_id),
         p.sequence, p.updated_at, extract(epoch FROM now() - p.updated_at)::double precision
  FROM wellhead_progress p;
$$;
CREATE VIEW database_lanes AS SELECT * FROM wellhead_database_lanes();
COMMENT ON VIEW database_lanes IS 'when each lane of each node last committed';

-- Statements of this database since the extension's last reset. No rows where pg_stat_statements is not there.
CREATE FUNCTION wellhead_database_statements()
RETURNS TABLE (query_id bigint, calls bigint, total_seconds double precision, mean_ms double precision, max_ms double precision,
               rows_affected bigint, cache_hit_percent double precision, statement text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  place text;
BEGIN
  SELECT format('%I.pg_stat_statements', n.nspname) INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements';
  IF place IS NULL OR current_setting('pg_stat_statements.max', true) IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE format($sql$
    SELECT s.queryid, sum(s.calls)::bigint, sum(s.total_exec_time) / 1000, sum(s.total_exec_time) / nullif(sum(s.calls), 0)::double precision, max(s.max_exec_time), sum(s.rows)::bigint,
           100.0::double precision * sum(s.shared_blks_hit)::double precision / nullif(sum(s.shared_blks_hit + s.shared_blks_read), 0)::double precision,
           left(regexp_replace(min(s.query), '\s+', ' ', 'g'), 200)
    FROM %s s WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    GROUP BY s.queryid
  $sql$, place);
END
$$;
CREATE VIEW database_statements AS
  SELECT * FROM wellhead_database_statements() ORDER BY total_seconds DESC LIMIT 20;
COMMENT ON VIEW database_statements IS 'the 20 statements that took the most time, where pg_stat_statements is there';

-- Chunks that are past their time. It looks for rows that came late into each of them, which takes its time.
CREATE FUNCTION wellhead_database_retention()
RETURNS TABLE (table_name text, keep interval, chunks_expired bigint, chunks_refused bigint, refused_until timestamptz, reason text,
               dropped_before timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT l.table_name, l.keep, count(e.chunk), count(e.chunk) FILTER (WHERE NOT e.allowed),
         max(e.range_until) FILTER (WHERE NOT e.allowed), min(e.reason) FILTER (WHERE NOT e.allowed), l.dropped_before
  FROM wellhead_lifecycle l LEFT JOIN wellhead_expired() e ON e.table_name = l.table_name
  GROUP BY l.table_name, l.keep, l.dropped_before;
$$;
CREATE VIEW database_retention AS SELECT * FROM wellhead_database_retention();
COMMENT ON VIEW database_retention IS 'chunks past their time, and those that are kept since no marker covers them';

-- What the other views cannot tell on this server or to this role, and how they are to be read.
CREATE FUNCTION wellhead_database_notes() RETURNS TABLE (topic text, note text) LANGUAGE sql STABLE AS $$
  SELECT n.topic, n.note FROM (
    VALUES
    (1, 'bloat', true,
     'Bloat is an estimate: pages at the last vacuum or analyze, less what the rows take at their mean width by pg_stats. Some percent are no bloat but padding.'),
    (2, 'compression', (SELECT o.edition FROM database_overview o) = 'apache',
     'Nothing is compressed: compression needs the Community edition of TimescaleDB. Install it, set timescaledb.license = timescale, and run wellhead migrate up.'),
    (3, 'compression', (SELECT o.edition FROM database_overview o) = 'plain',
     'Nothing is compressed: compression needs the Community edition of TimescaleDB, and this database has no TimescaleDB.'),
    (4, 'jobs', (SELECT o.edition FROM database_overview o) <> 'community',
     'The server has no policies on this edition: the node keeps aggregates and partitions, and its metrics wellhead_maintenance_failures_total and wellhead_maintenance_postponed_total tell how that goes.'),
    (5, 'statements', current_setting('pg_stat_statements.max', true) IS NULL,
     'Statements are not counted: add pg_stat_statements to shared_preload_libraries, restart the server, and run CREATE EXTENSION pg_stat_statements in this database.'),
    (6, 'statements', current_setting('pg_stat_statements.max', true) IS NOT NULL
                      AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'),
     'Statements are counted and cannot be read here: run CREATE EXTENSION pg_stat_statements in this database.'),
    (7, 'rights', NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
     format('The role %I does not see what other roles run: statements have no text, the oldest transaction is one of its own. GRANT pg_monitor TO %1$I.', current_user)),
    (8, 'counts', current_setting('track_counts') = 'off',
     'The server counts nothing (track_counts = off), so that dead rows and the use of indexes are not known, and autovacuum does not run.')
  ) AS n (place, topic, holds, note) WHERE n.holds ORDER BY n.place;
$$;
CREATE VIEW database_notes AS SELECT * FROM wellhead_database_notes();
COMMENT ON VIEW database_notes IS 'what the views named database_… cannot tell here, why, and how to change that';
