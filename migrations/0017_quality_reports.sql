-- Reports of data quality, of the readings of the last so many hours. All figures but the row count are percentages.
--
--   completeness  rows that have a value in every primary field
--   validity      the mean score
--   consistency   rows that are no anomaly
--   timeliness    rows received less than 300 s after their time
--   overall       0.30 completeness + 0.30 validity + 0.25 consistency + 0.15 timeliness
--
-- Readings whose clock is ahead count as well. The bodies are looked up when they run, so that nothing of the tables
-- depends on a report.

-- The figures of one stream's rows, from what of each row they are made of.
CREATE FUNCTION wellhead_quality_figures(row_count bigint, complete bigint, mean_score double precision, anomalies bigint,
                                         timely bigint,
                                         OUT completeness double precision, OUT validity double precision,
                                         OUT consistency double precision, OUT timeliness double precision,
                                         OUT overall double precision)
LANGUAGE sql IMMUTABLE AS $$
  SELECT f.completeness, f.validity, f.consistency, f.timeliness,
         0.30 * f.completeness + 0.30 * f.validity + 0.25 * f.consistency + 0.15 * f.timeliness
  FROM (SELECT 100.0::double precision * complete / nullif(row_count, 0), 100 * mean_score,
               100.0::double precision * (row_count - anomalies) / nullif(row_count, 0),
               100.0::double precision * timely / nullif(row_count, 0))
    AS f (completeness, validity, consistency, timeliness);
$$;

COMMENT ON FUNCTION wellhead_quality_figures(bigint, bigint, double precision, bigint, bigint) IS
  'completeness, validity, consistency, timeliness and overall, in percent; null without rows';

-- No row for a stream that does not ship.
CREATE FUNCTION wellhead_quality_overview(stream text DEFAULT 'telemetry', hours double precision DEFAULT 24)
RETURNS TABLE (row_count bigint, completeness double precision, validity double precision, consistency double precision,
               timeliness double precision, overall double precision)
LANGUAGE sql STABLE AS $$
  SELECT t.row_count, f.completeness, f.validity, f.consistency, f.timeliness, f.overall
  FROM (
    SELECT count(*), count(*) FILTER (WHERE num_nulls(temperature, vibration, pressure, flow_rate) = 0),
           avg(data_quality_score), count(*) FILTER (WHERE is_anomaly),
           count(*) FILTER (WHERE ingestion_timestamp - "timestamp" < INTERVAL '300 s')
    FROM telemetry WHERE stream = 'telemetry' AND "timestamp" > now() - hours * INTERVAL '1 hour'
    HAVING stream = 'telemetry'
    UNION ALL
    SELECT count(*), count(*) FILTER (WHERE num_nulls(flow_rate, pip, motor_current, motor_temp, vibration) = 0),
           avg(data_quality_score), count(*) FILTER (WHERE is_anomaly),
           count(*) FILTER (WHERE ingestion_timestamp - "timestamp" < INTERVAL '300 s')
    FROM esp_telemetry WHERE stream = 'esp_telemetry' AND "timestamp" > now() - hours * INTERVAL '1 hour'
    HAVING stream = 'esp_telemetry'
  ) AS t (row_count, complete, mean_score, anomalies, timely)
  CROSS JOIN LATERAL wellhead_quality_figures(t.row_count, t.complete, t.mean_score, t.anomalies, t.timely) AS f;
$$;

COMMENT ON FUNCTION wellhead_quality_overview(text, double precision) IS
  'quality of a stream''s readings of the last so many hours, in percent';

CREATE FUNCTION wellhead_quality_by_device(stream text DEFAULT 'telemetry', hours double precision DEFAULT 24)
RETURNS TABLE (device_id text, mean_quality double precision, anomaly_count bigint, row_count bigint,
               last_reading timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT t.device_id, avg(t.score), count(*) FILTER (WHERE t.is_anomaly), count(*), max(t.at)
  FROM (
    SELECT r.device_id, r.data_quality_score, r.is_anomaly, r."timestamp"
    FROM telemetry r WHERE stream = 'telemetry' AND r."timestamp" > now() - hours * INTERVAL '1 hour'
    UNION ALL
    SELECT r.well_id, r.data_quality_score, r.is_anomaly, r."timestamp"
    FROM esp_telemetry r WHERE stream = 'esp_telemetry' AND r."timestamp" > now() - hours * INTERVAL '1 hour'
  ) AS t (device_id, score, is_anomaly, at)
  GROUP BY t.device_id
  ORDER BY avg(t.score), count(*) FILTER (WHERE t.is_anomaly) DESC, t.device_id;
$$;

COMMENT ON FUNCTION wellhead_quality_by_device(text, double precision) IS
  'quality of each device''s readings of the last so many hours, the worst first';

CREATE VIEW quality_overview AS SELECT * FROM wellhead_quality_overview('telemetry', 24);
CREATE VIEW quality_by_device AS SELECT * FROM wellhead_quality_by_device('telemetry', 24);

COMMENT ON VIEW quality_overview IS 'wellhead_quality_overview() of telemetry, 24 hours';
COMMENT ON VIEW quality_by_device IS 'wellhead_quality_by_device() of telemetry, 24 hours, the worst device first';
