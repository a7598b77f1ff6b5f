# shellcheck shell=bash disable=SC2154 # lib.sh, sourced before this, sets what is not set here
# Which files there are to format and to check. Sourced, never run.

# Prints the C++ files of the repository, relative to its root, one a line.
cpp_files() {
  (cd -- "$repository" && find . \( -name build -o -name '.?*' \) -prune -o \( -name '*.cpp' -o -name '*.hpp' \) -printf '%P\n' | sort)
}

# Prints the shell scripts of the repository, relative to its root, one a line: by their first line, as most have no ending.
shell_files() {
  (
    cd -- "$repository" || exit
    find . \( -name build -o -name .git \) -prune -o -type f -size -200k -print0 |
      xargs -0 awk 'FNR == 1 { if (/^#!.*(ba|da)?sh$/ || /^# shellcheck shell=/) print substr(FILENAME, 3); nextfile }' | sort
  )
}

# Prints the files that differ from the upstream branch, or from the last commit where there is no upstream, new ones included.
changed_files() {
  (
    cd -- "$repository" || exit
    base=$(git merge-base HEAD '@{upstream}' 2>/dev/null || printf 'HEAD')
    {
      git diff --name-only --diff-filter=d "$base"
      git ls-files --others --exclude-standard
    } | sort -u
  )
}

# Leaves only those lines of standard input that are files in the list.
# $1: the list, one file a line.
only_among() {
  grep -Fxf <(printf '%s\n' "$1") || true
}
