#!/bin/sh
# SPDX-License-Identifier: MIT
# Records the traces of this folder again; README.md says what they are. Its words are the names of
# those to make, or none for all. Other versions of the programs, and another revision of the source
# that gcc compiles, ask for other blocks: new traces are new benchmarks.
set -eu

here=$(dirname -- "$(readlink -f -- "$0")")
root=$(readlink -f -- "$here/../..")
tmf=$root/build/release/harness/tmf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C HOME="$work"

# record NAME COMMAND...
record() {
    name=$1
    shift
    "$tmf" record --output "$here/$name.trace" -- "$@" >/dev/null
}

# The driver, the compiler and the assembler.
make_gcc() {
    cd "$root"
    record gcc gcc -O2 -std=gnu17 -Ialloc -c -o "$work/heap.o" alloc/heap.c
}

# As python asks where it does not cut small objects out of pages of its own.
make_python() {
    PYTHONMALLOC=malloc PYTHONHASHSEED=0 record python /usr/bin/python3 -S "$here/script.py"
}

make_sqlite() {
    record sqlite sqlite3 -init /dev/null :memory: ".read '$here/script.sql'"
}

make_perl() {
    PERL_HASH_SEED=0 record perl perl "$here/script.pl"
}

# Grouping many small objects, all of which live at once.
make_jq() {
    seq 3000 | jq -c '{n: ., t: ("x" * (. % 50))}' | jq -s . >"$work/rows.json"
    record jq jq -c 'group_by(.n % 97) | map(length)' "$work/rows.json"
}

# Two threads that pack 300 commits of a few files, and the process that started them.
make_git() {
    export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
    git init -q -b main "$work/repository"
    cd "$work/repository"
    git config user.name nobody
    git config user.email nobody@example.org
    n=0
    while [ $n -lt 300 ]; do
        seq $((n * 7)) $((n * 7 + 400)) >"file$((n % 17))"
        git add .
        git commit -q -m "change $n"
        n=$((n + 1))
    done
    record git git -c pack.threads=2 -c gc.auto=0 repack -a -d -f -q
}

[ $# -gt 0 ] || set -- gcc python sqlite perl jq git
for name; do
    (make_"$name")
done
