-- Chunks that are compressed stay so, and can be read.

DO $$
DECLARE
  facts wellhead_lifecycle;
BEGIN
  FOR facts IN SELECT * FROM wellhead_lifecycle WHERE compress_after IS NOT NULL LOOP
    PERFORM remove_compression_policy(facts.table_name::regclass, if_exists => true);
  END LOOP;
END
$$;
