-- Why a reading has its quality score: a bit for each reason, as codec/quality.hpp defines them.
--
--   bits  0 … 15   reasons that hold for the record as a whole
--   bits 16 … 30   scored field i is primary and missing
--   bits 32 … 46   scored field i was out of its range
--   bits 48 … 62   scored field i is unusual for its device
--
-- Scored fields are counted in the order of the stream's columns.

ALTER TABLE telemetry ADD COLUMN quality_flags bigint NOT NULL DEFAULT 0;
ALTER TABLE esp_telemetry ADD COLUMN quality_flags bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN telemetry.quality_flags
  IS 'reasons of the quality score, as bits; wellhead_quality_reasons(''telemetry'', quality_flags) has them in words';
COMMENT ON COLUMN esp_telemetry.quality_flags
  IS 'reasons of the quality score, as bits; wellhead_quality_reasons(''esp_telemetry'', quality_flags) has them in words';
COMMENT ON COLUMN telemetry.is_anomaly IS 'a value is unusual for the device; computed on the way in';
COMMENT ON COLUMN esp_telemetry.is_anomaly IS 'a value is unusual for the well; computed on the way in';

-- The names of a stream's scored fields; for a stream that does not ship, none: its fields are told by number.
CREATE FUNCTION wellhead_scored_fields(stream text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE stream
  WHEN 'telemetry' THEN ARRAY['temperature', 'vibration', 'pressure', 'flow_rate', 'motor_current', 'rpm',
                              'intake_pressure', 'discharge_pressure']
  WHEN 'esp_telemetry' THEN ARRAY['flow_rate', 'pip', 'motor_current', 'motor_temp', 'vibration', 'vsd_frequency',
                                  'gor']
  ELSE ARRAY[]::text[]
END;

COMMENT ON FUNCTION wellhead_scored_fields(text) IS 'the fields the bits of quality_flags stand for, from the lowest';

-- The flags in words, e.g. {late, missing:vibration, out_of_range:pressure, unusual:temperature}; {} for none.
CREATE FUNCTION wellhead_quality_reasons(stream text, flags bigint) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
  SELECT COALESCE(array_agg(reason.name ORDER BY reason.bit), ARRAY[]::text[])
  FROM (
    SELECT whole.bit, whole.name
    FROM (VALUES (0, 'late'), (1, 'clock_ahead'), (2, 'unit_converted'), (3, 'repaired'), (4, 'unknown_device'),
                 (8, 'inconsistent'), (9, 'anomalous'), (10, 'stuck'), (11, 'changed_quickly'),
                 (12, 'out_of_order'), (13, 'warming_up')) AS whole (bit, name)
    UNION ALL
    SELECT kind.shift + field.number,
           kind.name || ':' || COALESCE((wellhead_scored_fields(stream))[field.number + 1], 'field' || field.number)
    FROM (VALUES (16, 'missing'), (32, 'out_of_range'), (48, 'unusual')) AS kind (shift, name)
    CROSS JOIN generate_series(0, 14) AS field (number)
  ) AS reason (bit, name)
  WHERE (flags >> reason.bit) & 1 = 1
);

COMMENT ON FUNCTION wellhead_quality_reasons(text, bigint) IS 'the reasons that quality_flags holds, in words';
