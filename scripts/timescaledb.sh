# shellcheck shell=bash disable=SC2154 # lib.sh, sourced before this, sets what is not set here
# Finds the PostgreSQL programs to run TimescaleDB with: the system's own if they have the extension, else Debian 13's, unpacked
# into a private folder. Sourced, never run.
#
# Nothing of Debian 13 is installed, nothing is mounted and no chroot is entered: PostgreSQL finds its extensions and data
# relative to its own program, so its packages work from any folder as long as their programs are started through the dynamic
# loader that came with them. That needs neither root nor user namespaces.

# Counts the ways this file has unpacked the packages: a change here makes everybody's folder be built anew.
readonly timescaledb_recipe=1

# Prints the folder with the programs of an installed PostgreSQL, 15 or newer, that has the extension; the newest if there are
# several. Fails if there is none.
installed_timescaledb() {
  local programs version
  while read -r programs; do
    version=$(basename -- "$(dirname -- "$programs")")
    if [[ $version =~ ^[0-9]+$ && $version -ge 15 && -x $programs/postgres && -x $programs/initdb &&
      -f /usr/share/postgresql/$version/extension/timescaledb.control ]]; then
      printf '%s\n' "$programs"
      return 0
    fi
  done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort --reverse)
  return 1
}

# Prints apt's sources for Debian 13 at the mirrors this system takes its own Debian packages from, one a line; nothing if it
# does not say (a system that is not Debian, or one whose package lists were never fetched): mmdebstrap then takes the usual ones.
trixie_sources() {
  local label uri codename mirror="" security=""
  # shellcheck disable=SC2016 # apt-get fills these in
  local format='$(LABEL)|$(REPO_URI)|$(CODENAME)'
  while IFS='|' read -r label uri codename; do
    case "$label" in
      Debian) if [[ $codename != *-* ]]; then mirror=${mirror:-$uri}; fi ;;
      Debian-Security) security=${security:-$uri} ;;
    esac
  done < <(apt-get indextargets --format "$format" 'Identifier: Packages' 'Component: main' 'Origin: Debian')
  if [[ -z $mirror ]]; then return 0; fi
  printf 'deb %s trixie main\n' "$mirror"
  printf 'deb %s trixie-updates main\n' "$mirror"
  if [[ -n $security ]]; then printf 'deb %s trixie-security main\n' "$security"; fi
}

# Prints this system's apt settings for proxies in the form mmdebstrap takes them.
apt_proxy_options() {
  apt-config dump | sed -n -E 's/^(Acquire::[a-z]+::Proxy.*);$/--aptopt=\1/Ip'
}

# Unpacks Debian 13's packages into a new folder.
# $1: the folder; $2: the file for what mmdebstrap says.
unpack_trixie() {
  local folder=$1 log=$2
  local -a proxies
  mapfile -t proxies < <(apt_proxy_options)
  trixie_sources >"$folder.sources"
  if [[ -s $folder.sources ]]; then
    mmdebstrap --mode=chrootless --variant=extract --include=postgresql-17-timescaledb --skip=check/empty \
      "${proxies[@]}" trixie "$folder" - <"$folder.sources" >"$log" 2>&1
  else
    mmdebstrap --mode=chrootless --variant=extract --include=postgresql-17-timescaledb --skip=check/empty \
      "${proxies[@]}" trixie "$folder" >"$log" 2>&1
  fi
}

# Removes what a database server does not need, above all the LLVM library: we run with JIT compilation off. apt's settings go
# because proxies may name a password.
prune_trixie() {
  local root=$1
  rm -rf -- "${root:?}"/etc/apt "${root:?}"/dev "$root"/usr/share/{doc,man,i18n,locale,perl} \
    "$root"/usr/lib/*-linux-gnu*/{libLLVM*,libz3*,perl} "$root"/usr/lib/postgresql/*/lib/{llvmjit*,bitcode}
}

# Moves the programs aside and puts scripts in their places that start them through their own loader with their own libraries.
# $1: the unpacked folder; it may be moved afterwards.
wrap_programs() {
  local programs program
  for programs in "$1"/usr/lib/postgresql/*/bin; do
    mv -- "$programs" "${programs%/bin}/elf"
    mkdir -- "$programs"
    for program in "${programs%/bin}"/elf/*; do
      cat >"$programs/${program##*/}" <<'WRAPPER'
#!/bin/sh
self=$(readlink -f -- "$0")
root=${self%/usr/lib/postgresql/*}
for libraries in "$root"/usr/lib/*-linux-gnu*; do :; done
for loader in "$libraries"/ld-linux*.so.*; do :; done
exec "$loader" --inhibit-cache --library-path "$libraries" --argv0 "$self" "${self%/bin/*}/elf/${self##*/}" "$@"
WRAPPER
      chmod 755 -- "$programs/${program##*/}"
    done
  done
}

# Builds the private folder beside its final place and renames it, so that an interrupted build leaves nothing half done.
# $1: the final place.
build_private_timescaledb() {
  local final=$1 work
  work=$(mktemp -d "$final.building-XXXXXX")
  # Open to apt's own unprivileged account, which downloads.
  chmod 711 -- "$work"
  say "unpacking PostgreSQL 17 with TimescaleDB into $final (once, about half a minute)"
  if ! unpack_trixie "$work/root" "$work/log"; then
    tail -n 20 -- "$work/log" >&2
    rm -rf -- "$work"
    fail "could not fetch TimescaleDB's packages (above is what mmdebstrap said); or set DATABASE_URL to a TimescaleDB you have"
  fi
  prune_trixie "$work/root"
  wrap_programs "$work/root"
  chmod 755 -- "$work/root"
  if ! "$work"/root/usr/lib/postgresql/17/bin/postgres --version >/dev/null; then
    rm -rf -- "$work"
    fail "the unpacked PostgreSQL does not run on this machine; set DATABASE_URL to a TimescaleDB you have"
  fi
  mv -- "$work/root" "$final"
  rm -rf -- "$work"
}

# Prints the folder with the programs of the private PostgreSQL and builds it first if it is not there. Two scripts may ask at
# once: the second waits for the first. What an interrupted build left behind is removed by the next, which holds the lock.
private_timescaledb() {
  local cache final
  cache=$(cache_directory)
  final=$cache/trixie-$timescaledb_recipe
  if [[ ! -d $final ]]; then
    mkdir -p -- "$cache"
    chmod go+rx -- "$cache"
    exec {build_lock}>"$cache/build.lock"
    flock "$build_lock"
    if [[ ! -d $final ]]; then
      require_packages database
      rm -rf -- "$final".building-*
      build_private_timescaledb "$final"
    fi
    exec {build_lock}>&-
  fi
  printf '%s\n' "$final"/usr/lib/postgresql/17/bin
}

# Prints the folder with the programs to use.
timescaledb_programs() {
  installed_timescaledb || private_timescaledb
}
