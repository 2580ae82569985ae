#!/bin/sh
# Makes .venv and installs drystone into it, unless both are done:  sh tools/bootstrap.sh run
#
# The argument says for what: run, test, docs, lint or fuzz. Nothing is needed but Python 3.11 or later; what else
# may be missing (a compiler, Python's headers, venv, pip) is worked around, or named in one line with its cure.
#
#   .venv/made         the folder and the Python it was made for; written once venv and pip are there;
#                      a .venv without it, half made or made by hand, is replaced
#   .venv/unfinished   there while pip works; found later, it means that pip was interrupted
#   .venv/for-run      what was installed: the inputs() of then (so too for-test, ...)
set -eu
cd "$(dirname "$0")/.."

say() { printf 'drystone: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case ${1:-} in
    run)  extras='';                 serves='run';                duration='about 20 s' ;;
    test) extras='[test]';           serves='run test';           duration='about 25 s' ;;
    docs) extras='[docs]';           serves='run docs';           duration='about 30 s' ;;
    lint) extras='[lint,test,docs]'; serves='run test docs lint'; duration='about 45 s' ;;
    fuzz) extras='[fuzz]';           serves='run fuzz';           duration='about 40 s' ;;
    *) die 'usage: sh tools/bootstrap.sh run|test|docs|lint|fuzz' ;;
esac

# What decides an install: these files and, while the native kernel is missing, whether there is a compiler.
inputs() {
    cksum pyproject.toml setup.py src/drystone/kernel/*.[ch] 2>/dev/null || true
    ls src/drystone/kernel/_native.*so >/dev/null 2>&1 || command -v cc || true
}

# A .venv is sound for one folder (its scripts name it) and one Python (3.12 does not see what 3.11 installed).
# Whoever says PYTHON= means that one, to the last digit.
sound() {
    version=$(.venv/bin/python -V 2>/dev/null) && [ ! -e .venv/unfinished ] &&
        [ "$(cat .venv/made 2>/dev/null)" = "$(pwd -P): ${version%.*}" ] &&
        { [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V 2>/dev/null)" = "$version" ]; }
}
ready() { sound && [ "$(cat ".venv/for-$1" 2>/dev/null)" = "$(inputs)" ]; }

# Sets $python: the first that is new enough and has ensurepip, else the first that is new enough. Each is
# really run, since version managers leave commands behind that only complain.
find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"
    else set -- python3 python3.14 python3.13 python3.12 python3.11; fi
    python=''
    for candidate; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 || continue
        python=${python:-$candidate}
        if has ensurepip "$candidate"; then python=$candidate; return; fi
    done
    [ -n "$python" ] || die "needs Python 3.11 or later; tried $*; name yours as in: make up PYTHON=/path/to/python3"
}
has() { "$2" -c "import venv, $1" </dev/null >/dev/null 2>&1; }

# Debian and Ubuntu keep ensurepip in a package of its own; a pip or virtualenv installed there will do instead.
make_venv() {
    rm -rf .venv
    if has ensurepip "$python"; then
        problem=$("$python" -m venv .venv 2>&1) || die "could not make .venv: $(printf '%s' "$problem" | tail -n 1)"
    elif with_pip_of_host || with_virtualenv; then :
    else
        rm -rf .venv
        die "$python cannot make a virtual environment; on Debian or Ubuntu \`apt install python3-venv\` mends that"
    fi
    version=$(.venv/bin/python -V)
    printf '%s: %s\n' "$(pwd -P)" "${version%.*}" >.venv/made
}
with_pip_of_host() {
    "$python" -m venv --without-pip .venv && "$python" -m pip --python .venv/bin/python install -qq pip
} >/dev/null 2>&1
with_virtualenv() {
    rm -rf .venv && "$python" -m virtualenv -q .venv
} >/dev/null 2>&1

# Interrupted, this script dies before it removes the mark. A pip that merely fails puts back what was there.
install() {
    : >.venv/unfinished
    .venv/bin/python -m pip install -qq --disable-pip-version-check --editable ".$extras" || {
        status=$?
        [ "$status" -gt 128 ] || rm .venv/unfinished
        die 'pip could not install what drystone needs: its own words are above (is the network reachable?)'
    }
    for purpose in $serves; do inputs >".venv/for-$purpose"; done
    rm .venv/unfinished
}

ready "$1" && exit 0
find_python
say "installing into .venv with $("$python" -V), once, $duration"
# Two terminals may start at once: the second waits here, on a lock that ends with its holder.
exec 9<tools/bootstrap.sh
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null || true
ready "$1" && exit 0
sound || make_venv
install
