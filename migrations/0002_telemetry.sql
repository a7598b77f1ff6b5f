-- Readings of any device: the stream of high volume.
--
-- There is no primary key: that a record appears once is the node's promise, and a unique index would cost every
-- insert.

CREATE TABLE telemetry (
  "timestamp"         timestamptz NOT NULL,
  device_id           text        NOT NULL CHECK (octet_length(device_id) BETWEEN 1 AND 64),
  temperature         real        CHECK (temperature BETWEEN -50 AND 200),
  vibration           real        CHECK (vibration >= 0),
  pressure            real        CHECK (pressure >= 0),
  flow_rate           real        CHECK (flow_rate >= 0),
  motor_current       real        CHECK (motor_current >= 0),
  rpm                 real        CHECK (rpm >= 0),
  intake_pressure     real        CHECK (intake_pressure >= 0),
  discharge_pressure  real        CHECK (discharge_pressure >= 0),
  data_quality_score  real        DEFAULT 1.0 CHECK (data_quality_score BETWEEN 0 AND 1),
  is_anomaly          boolean     DEFAULT false,
  ingestion_timestamp timestamptz DEFAULT now(),
  source_system       text        DEFAULT 'scada'
);

COMMENT ON COLUMN telemetry.temperature IS 'degrees Celsius';
COMMENT ON COLUMN telemetry.vibration IS 'inches per second';
COMMENT ON COLUMN telemetry.pressure IS 'psi';
COMMENT ON COLUMN telemetry.flow_rate IS 'barrels per day';
COMMENT ON COLUMN telemetry.motor_current IS 'ampere';
COMMENT ON COLUMN telemetry.rpm IS 'revolutions per minute';
COMMENT ON COLUMN telemetry.intake_pressure IS 'psi';
COMMENT ON COLUMN telemetry.discharge_pressure IS 'psi';
COMMENT ON COLUMN telemetry.data_quality_score IS '0 to 1, computed on the way in';
COMMENT ON COLUMN telemetry.ingestion_timestamp IS 'when the node received the record';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    PERFORM create_hypertable('telemetry', 'timestamp', chunk_time_interval => INTERVAL '1 day',
                              create_default_indexes => false);
  END IF;
END
$$;

CREATE INDEX telemetry_device_time_idx ON telemetry (device_id, "timestamp" DESC);
CREATE INDEX telemetry_anomaly_idx ON telemetry (device_id, "timestamp" DESC) WHERE is_anomaly;
CREATE INDEX telemetry_low_quality_idx ON telemetry ("timestamp" DESC) WHERE data_quality_score < 0.8;
