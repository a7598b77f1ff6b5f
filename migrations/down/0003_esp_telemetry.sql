-- loses: esp_telemetry

DROP TABLE esp_telemetry;
