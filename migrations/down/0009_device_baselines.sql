-- loses: wellhead_device_baselines

DROP TABLE wellhead_device_baselines;
