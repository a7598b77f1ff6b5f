# shellcheck shell=bash
# The settings our clusters run with. Sourced, never run.

# Prints the memory the machine, or the container we are in, has to give, in MiB.
usable_memory_mib() {
  local machine limit
  machine=$(($(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo) / 1024))
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1048576 < machine)); then
    machine=$((limit / 1048576))
  fi
  printf '%s\n' "$machine"
}

# Prints a quarter of the memory, at least 128 MiB and at most 4 GiB: past that, an ingest test does not get faster.
shared_buffers_mib() {
  local mib=$(($(usable_memory_mib) / 4))
  if ((mib < 128)); then mib=128; fi
  if ((mib > 4096)); then mib=4096; fi
  printf '%s\n' "$mib"
}

# Prints where memory that parallel workers share comes from: /dev/shm, or files where it is missing or as small as containers
# make it (64 MB).
shared_memory_type() {
  local free_kib
  free_kib=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)
  if [[ -w /dev/shm && ${free_kib//[^0-9]/} -ge 262144 ]]; then
    printf 'posix\n'
  else
    printf 'mmap\n'
  fi
}

# Prints the settings file. Durability is as honest as in production: fsync, full_page_writes and synchronous_commit stay on.
# The arguments are further settings, NAME=VALUE; a later one wins.
write_settings() {
  local setting
  cat <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
max_worker_processes = 32
max_locks_per_transaction = 256
dynamic_shared_memory_type = $(shared_memory_type)
shared_buffers = $(shared_buffers_mib)MB
wal_buffers = 64MB
wal_compression = lz4
min_wal_size = 512MB
max_wal_size = 8GB
checkpoint_timeout = 15min
synchronous_commit = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %d '
SETTINGS
  for setting in "$@"; do
    if [[ $setting != ?*=* ]]; then fail "\"$setting\" is no setting: NAME=VALUE is expected"; fi
    printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"
  done
}
