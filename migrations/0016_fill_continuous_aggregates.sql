-- edition: community
-- transaction: none
--
-- Computes the aggregates of what is there already, which the server does not do within a transaction. Done twice it finds
-- nothing to do the second time.

CALL refresh_continuous_aggregate('telemetry_1min', NULL, now() - INTERVAL '30 seconds');
CALL refresh_continuous_aggregate('telemetry_1hour', NULL, now() - INTERVAL '1 hour');
CALL refresh_continuous_aggregate('telemetry_daily', NULL, now() - INTERVAL '1 day');
