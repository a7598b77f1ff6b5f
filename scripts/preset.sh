# shellcheck shell=bash
# What a build preset means to those who build or run it. Sourced, never run.

# Ends the script unless the preset is one of ours.
check_preset() {
  case "$1" in
    release | debug | asan | tsan) ;;
    *) fail_usage "there is no preset \"$1\"; there are release, debug, asan and tsan" ;;
  esac
}

# Runs a command of a preset's build. A sanitizer's runs without address space randomisation: GCC 12's sanitizers do not know
# the layouts of newer kernels, and the build itself runs the test programs to learn their tests' names.
# $1: the preset; the rest: the command.
run_for_preset() {
  local preset=$1
  shift
  if [[ $preset == asan || $preset == tsan ]] && setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}
