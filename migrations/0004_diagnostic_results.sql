-- What diagnostics found about a well: low volume.

CREATE TABLE diagnostic_results (
  id          bigint      NOT NULL,
  well_id     text        NOT NULL CHECK (octet_length(well_id) BETWEEN 1 AND 64),
  "timestamp" timestamptz NOT NULL,
  severity    text        NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  diagnosis   text,
  confidence  real        CHECK (confidence BETWEEN 0 AND 1),
  details     jsonb,
  PRIMARY KEY (id, "timestamp")
);

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    PERFORM create_hypertable('diagnostic_results', 'timestamp', chunk_time_interval => INTERVAL '7 days',
                              create_default_indexes => false);
  END IF;
END
$$;

CREATE INDEX diagnostic_results_well_time_idx ON diagnostic_results (well_id, "timestamp" DESC);
CREATE INDEX diagnostic_results_severity_time_idx ON diagnostic_results (severity, "timestamp" DESC);
