-- loses: telemetry

DROP TABLE telemetry;
