-- loses: diagnostic_results

DROP TABLE diagnostic_results;
