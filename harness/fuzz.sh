#!/bin/sh
# SPDX-License-Identifier: MIT
# ./tmf fuzz: builds the fuzz targets with libFuzzer (the preset fuzz), lets each run for its share
# of the time, two at once and at low priority, and prints what came of it. Begins with seeds that
# the library makes, and with the corpus of earlier runs, which grows in build/fuzz/corpus/TARGET.
# What is found is kept in build/fuzz/findings.
set -eu

targets='alloc/heap_fuzz txn/header_fuzz txn/log_fuzz'
time=60
only=

usage() {
    cat <<END
Usage: ./tmf fuzz [--time SECONDS] [--target NAME]
Breeds inputs for the fuzz targets: heap_fuzz, header_fuzz, log_fuzz.

      --time SECONDS   of all targets together ($time)
      --target NAME    that one alone

Exit status: 0 nothing was found; 1 something was, and the line that shows it again is printed;
2 wrong usage.
END
}

wrong() {
    echo "tmf fuzz: $*" >&2
    exit 2
}

# parse WORDS...
parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --time=* | --target=*)
            set -- "${1%%=*}" "$@"
            value=${2#*=}
            ;;
        --help | -h) usage; exit 0 ;;
        --time | --target)
            [ $# -gt 1 ] || wrong "$1 takes a value"
            value=$2
            ;;
        *) wrong "'$1' is no option, see --help" ;;
        esac
        case $1 in
        --time) time=$value ;;
        --target) only=$value ;;
        esac
        shift 2
    done
    case $time in
    '' | *[!0-9]* | 0) wrong "--time takes seconds, not '$time'" ;;
    esac
    if [ -n "$only" ]; then
        case " $targets " in
        *"/$only "*) ;;
        *) wrong "no target is called '$only'" ;;
        esac
        for target in $targets; do
            [ "${target##*/}" != "$only" ] || targets=$target
        done
    fi
}

# breed TARGET SECONDS: what libFuzzer says goes into NAME.log.
breed() {
    name=${1##*/}
    mkdir -p "corpus/$name" "seeds/$name" findings
    "./$1" --seeds "seeds/$name"
    nice -n 15 "./$1" -max_total_time="$2" -timeout=25 -report_slow_units=1000 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="findings/$name-" "corpus/$name" "seeds/$name" >"$name.log" 2>&1
}

# said NAME PATTERN: the last thing of that kind that libFuzzer has said.
said() {
    grep -a -o "$2" "$1.log" | tail -n 1 | grep -o '[0-9]*$' || echo 0
}

# row TARGET; what a target has found counts from this run on only.
row() {
    name=${1##*/}
    found=$(find findings -name "$name-*" -newer begun | wc -l)
    printf '%-12s %11s %7s %9s %7s %9s\n' "$name" "$(said "$name" 'number_of_executed_units: *[0-9]*')" \
        "$(said "$name" 'average_exec_per_sec: *[0-9]*')" "$(said "$name" ' ft: [0-9]*')" \
        "$(said "$name" ' corp: [0-9]*')" "$found"
}

parse "$@"
cd "$(dirname -- "$0")/.."
cmake --preset fuzz >&2
# shellcheck disable=SC2046 # names of targets
cmake --build --preset fuzz --target $(for target in $targets; do echo "${target##*/}"; done) >&2
cd build/fuzz
touch begun

count=$(echo "$targets" | wc -w)
at_once=2
[ "$count" -gt 1 ] || at_once=1
share=$((time * at_once / count))
[ "$share" -gt 0 ] || share=1
running=
for target in $targets; do
    # shellcheck disable=SC2086 # a list of processes
    if [ "$(echo $running | wc -w)" -ge "$at_once" ]; then
        wait "${running%% *}" || true
        running=${running#* }
    fi
    breed "$target" "$share" &
    running="${running:+$running }$!"
done
wait

printf '%-12s %11s %7s %9s %7s %9s\n' target executions exec/s features corpus findings
for target in $targets; do
    row "$target"
done
for target in $targets; do
    find findings -type f -name "${target##*/}-*" -newer begun -printf \
        "found; to see it again: build/fuzz/$target build/fuzz/%p\n"
done
[ -z "$(find findings -type f -newer begun)" ]
