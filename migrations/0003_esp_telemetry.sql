-- One row per reading of a well with an electric submersible pump.
--
-- The primary key holds the partition key because TimescaleDB wants it in every unique index.

CREATE TABLE esp_telemetry (
  id                  bigint      NOT NULL,
  well_id             text        NOT NULL CHECK (octet_length(well_id) BETWEEN 1 AND 64),
  "timestamp"         timestamptz NOT NULL,
  flow_rate           real,
  pip                 real,
  motor_current       real,
  motor_temp          real,
  vibration           real,
  vsd_frequency       real,
  gor                 real,
  data_quality_score  real        DEFAULT 1.0 CHECK (data_quality_score BETWEEN 0 AND 1),
  is_anomaly          boolean     DEFAULT false,
  ingestion_timestamp timestamptz DEFAULT now(),
  source_system       text        DEFAULT 'scada',
  PRIMARY KEY (id, "timestamp")
);

COMMENT ON COLUMN esp_telemetry.flow_rate IS 'barrels per day';
COMMENT ON COLUMN esp_telemetry.pip IS 'pump intake pressure, psi';
COMMENT ON COLUMN esp_telemetry.motor_current IS 'ampere';
COMMENT ON COLUMN esp_telemetry.motor_temp IS 'degrees Fahrenheit';
COMMENT ON COLUMN esp_telemetry.vibration IS 'inches per second';
COMMENT ON COLUMN esp_telemetry.vsd_frequency IS 'frequency of the variable-speed drive, hertz';
COMMENT ON COLUMN esp_telemetry.gor IS 'gas-oil ratio, standard cubic feet per barrel';
COMMENT ON COLUMN esp_telemetry.data_quality_score IS '0 to 1, computed on the way in';
COMMENT ON COLUMN esp_telemetry.ingestion_timestamp IS 'when the node received the record';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    PERFORM create_hypertable('esp_telemetry', 'timestamp', chunk_time_interval => INTERVAL '1 day',
                              create_default_indexes => false);
  END IF;
END
$$;

CREATE INDEX esp_telemetry_time_idx ON esp_telemetry ("timestamp" DESC);
CREATE INDEX esp_telemetry_well_time_idx ON esp_telemetry (well_id, "timestamp" DESC);
