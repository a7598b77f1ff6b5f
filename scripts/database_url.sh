# shellcheck shell=bash
# Working with a database by its URL. Sourced, never run.

# Prints a URL, or a libpq "key=value" string, changed to another database of the same server.
# $1: the URL; $2: the database.
url_of_database() {
  local pattern='^(postgres(ql)?://[^/?]*)(/[^?]*)?(\?.*)?$'
  if [[ $1 =~ $pattern ]]; then
    printf '%s/%s%s\n' "${BASH_REMATCH[1]}" "$2" "${BASH_REMATCH[4]}"
  else
    printf '%s dbname=%s\n' "$1" "$2"
  fi
}

# Runs psql on a URL. A password in it goes by the environment, since every user of the machine can read command lines.
# $1: the URL; the rest: further arguments.
psql_at() {
  local url=$1 pattern='^(postgres(ql)?://[^:@/]*):([^@/]*)@(.*)$'
  shift
  if [[ $url =~ $pattern ]]; then
    url="${BASH_REMATCH[1]}@${BASH_REMATCH[4]}"
    # What is escaped in a URL, %40 for @, is plain in the environment.
    PGPASSWORD=$(printf '%b' "${BASH_REMATCH[3]//%/\\x}") psql "$@" "$url"
  else
    psql "$@" "$url"
  fi
}

# Prints the answer to one question to the database, one row a line.
# $1: the URL; $2: SQL.
query() {
  psql_at "$1" --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --command="$2"
}
