#!/bin/sh
# SPDX-License-Identifier: MIT
# ./tmf reference: a reference run, results/data/DATE-REVISION-HOST, and the README's figures from it.
# A folder that is there already is only filled up: what was cut off goes on where it stopped.
set -eu

cd "$(dirname -- "$(readlink -f -- "$0")")/.."
tmf=build/release/harness/tmf

help() {
    cat <<END
Usage: ./tmf reference [--full] [--out DIR]

Measures what the README and the report state, into DIR (default: results/data/DATE-REVISION-HOST),
a gzipped JSON each, and writes the figures of README.md anew. Takes about an hour; with --full
(the long campaign, and all combinations of the strategy study) five hours. Give a quiet machine and
a disk. It works in the current disk's build/, not in memory.

  ./tmf reference            measures, and refreshes README.md
  results/readme.py          refreshes README.md from the newest folder in results/data/
  results/readme.py --check  exits 1 where README.md states something else
END
}

profile=quick large='' out=''
while [ $# -gt 0 ]; do
    case $1 in
    --full) profile=full large=--large ;;
    --out) out=${2:?--out needs a folder} && shift ;;
    -h | --help) help && exit 0 ;;
    *) help >&2 && exit 2 ;;
    esac
    shift
done

# host: what a figure depends on, in a word: processor, cores, file system's type.
host() {
    model=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' _ | cut -c 1-24)
    printf '%s-%sc-%s' "${model:-unknown}" "$(nproc)" "$(stat -f -c %T .)" | tr / _
}

revision=$(git describe --always --dirty)
out=${out:-results/data/$(date -u +%F)-$revision-$(host)}
mkdir -p "$out" build
status=0

# calm: what ran before is in the load for a while; waits until it is not, for three minutes at most.
calm() {
    left=18
    while [ "$left" -gt 0 ] && awk '{ exit !($1 >= 0.5) }' /proc/loadavg; do
        sleep 10
        left=$((left - 1))
    done
}

# keep NAME WORDS...: runs tmf WORDS unless its result is there; a violation is kept and told.
keep() {
    name=$1
    shift
    [ ! -e "$out/$name.json.gz" ] || return 0
    calm
    printf 'reference: tmf %s\n' "$*" >&2
    rm -f "build/$name.json"
    "$tmf" "$@" --json "build/$name.json" || { code=$?; [ "$code" -eq 1 ] || exit "$code"; status=1; }
    gzip -9 -n -c "build/$name.json" >"$out/$name.json.gz"
}

# What a quiet machine matters most to comes first.
keep engine bench --filter '^engine/' --dir build
# shellcheck disable=SC2086 # empty or one word
keep strategy bench --filter strategy $large --dir build
keep commit bench --filter '^(commit|limit|floor|read|lock|open|recovery|commits)/' --dir build
keep choice bench --instructions --dir build --filter \
    'alloc_free/[^/]+(/quantum:[0-9]+)?/free_blocks:10{5,6}$|^trace/|^txn_alloc/|^fragmentation/.*uniform|^latency/[^/]+/quantum:[0-9]+/free_blocks:10{6}$'
work=build/reference.$profile
steps='kill error power power-many power-mix control threads procs procs-mix mutants'
"$tmf" run --profile "$profile" --steps "$(echo "$steps" | tr ' ' ,)" --out "$work" ||
    { code=$?; [ "$code" -eq 1 ] || exit "$code"; status=1; }
for step in $steps; do
    [ ! -e "$work/$step.json" ] || gzip -9 -n -c "$work/$step.json" >"$out/$step.json.gz"
done
keep gate compare --self-test --dir "${TMPDIR:-/dev/shm}"
"$tmf" report "$out"/*.json.gz --out build/reference.html
/usr/bin/python3 -B results/readme.py
printf 'reference: %s, build/reference.html, README.md\n' "$out" >&2
exit "$status"
