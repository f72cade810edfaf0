#!/usr/bin/env bash
# Set up once, then run every notebook or the tests. See ./run_all.sh --help.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
venv="$root/.venv"

usage() {
  cat <<'TEXT'
./run_all.sh            run every notebook: figures and tables land in figures/
./run_all.sh --test     run the tests (further arguments go to pytest)

  --profile smoke|reference|paper   how much is computed: proof that all of it runs (lands in
                                 .smoke/), the findings (default), or the theses' own sizes
  --data auto|real|stand-in      recordings where they can be had (default), recordings or an
                                 error, or synthesised sounds in their place
  --only 03,07                   these notebooks alone
  --seed 0                       where all chance starts
  --jobs 2                       notebooks at once
  --force                        also what is up to date
  --refit                        train every model anew but the vocoders, whatever is at hand
  --figures DIR                  results go there, not to figures/

The first run makes .venv and installs requirements.lock into it, unless an activated conda or
virtual environment has all that is needed. What is done and unchanged is skipped next time.
TEXT
}

say() { printf '%s\n' "$*" >&2; }

# An activated environment that has everything is used as it is.
active_python() {
  [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] || return 1
  local python
  python="$(command -v python)" || return 1
  PYTHONPATH="$root" "$python" -m samplevae_lib.ready "$@" >/dev/null 2>&1 || return 1
  printf '%s' "$python"
}

base_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  say "No Python 3.11, 3.12 or 3.13 found (python3 is $(python3 --version 2>&1 || true))."
  return 1
}

# The lock, the package's own description and the Python decide what is installed.
wanted() { cat "$root/requirements.lock" "$root/pyproject.toml" | cksum; }

# Called on its own, never behind || or in $( ): there bash would go on after a failed install.
set_up() {
  [ "$(cat "$venv/.installed" 2>/dev/null)" != "$(wanted)" ] || return 0
  local python
  python="$(base_python)"
  say "Setting up $venv (once; several minutes, most of it for torch) …"
  if ! "$python" -m venv --clear "$venv" >&2; then
    say "Python can't make virtual environments here. On Debian or Ubuntu: apt install python3-venv"
    exit 1
  fi
  local pip=("$venv/bin/python" -m pip install --disable-pip-version-check)
  "${pip[@]}" -q --upgrade pip >&2
  "${pip[@]}" -r "$root/requirements.lock" >&2
  # setuptools warns at every editable install that one should be careful.
  PYTHONWARNINGS=ignore "${pip[@]}" -q --no-deps --no-build-isolation -e "$root" >&2
  wanted >"$venv/.installed"
}

mode=run
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  --test) mode=test; shift ;;
esac

extras=()
[ "$mode" = run ] || extras=(test speech)
if ! python="$(active_python ${extras[@]+"${extras[@]}"})"; then
  set_up
  python="$venv/bin/python"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

if [ "$mode" = test ]; then
  cd -- "$root"
  exec "$python" -m pytest "$@"
fi
exec "$python" -m samplevae_lib run "$@"
