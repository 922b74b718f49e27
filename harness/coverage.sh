#!/bin/sh
# SPDX-License-Identifier: MIT
# ./tmf coverage: builds with gcc's counters (the preset coverage), runs the tests and the quick
# campaign there, and prints which lines and branches of alloc/ and txn/ were run; in HTML they are
# in build/coverage/html. With --error-branches only `tmf error` is run, and what is printed are the
# error branches of txn/ that it does not reach, but for those that txn/unreached.txt gives a reason
# for.
set -eu

cases=30000
error_branches=

usage() {
    cat <<END
Usage: ./tmf coverage
       ./tmf coverage --error-branches [--cases NUMBER]
Prints what of alloc/ and txn/ the tests and the quick campaign run; or the error branches of txn/
that tmf error does not reach, leaving out those that txn/unreached.txt argues away.

      --cases NUMBER   of the lives of which only some faults are tried ($cases)

Exit status: 0; 1 a test failed, tmf error found something, an error branch was not reached, or a row
of txn/unreached.txt is about none that was not; 2 wrong usage.
END
}

# count WORDS...: gcovr's answer about what these objects have counted. What gcc has not counted but
# worked out from the rest is now and then negative, where processes were killed.
count() {
    gcovr --root . --object-directory build/coverage --filter alloc/ --filter txn/ \
        --exclude '.*_test\.c' --exclude '.*/test_.*' --exclude '.*fuzz.*' --exclude '.*coverage.*' \
        --gcov-ignore-parse-errors "$@"
}

prepare() {
    cmake --preset coverage >&2
    cmake --build --preset coverage >&2
    find build/coverage -name '*.gcda' -delete
    [ ! -d /dev/shm ] || export TMPDIR=/dev/shm
}

run_all() {
    status=0
    ctest --preset coverage >&2 || status=1
    # The benchmarks are not built here, so the campaign misses a step: 3.
    build/coverage/harness/tmf run --profile quick --out build/coverage/run >&2 || case $? in
    3) ;;
    *) status=1 ;;
    esac
    mkdir -p build/coverage/html
    count --json build/coverage/coverage.json --html-details build/coverage/html/index.html
    /usr/bin/python3 -B results/coverage.py table build/coverage/coverage.json
    exit "$status"
}

run_errors() {
    status=0
    # Every use of every call in one life of each strategy, and beside it some of another life.
    lives='error --strategy all --transactions 3 --one-errno'
    # shellcheck disable=SC2086 # words
    {
        build/coverage/harness/tmf $lives --durability sync --workload bank --cases 1000000 >&2 &
        build/coverage/harness/tmf $lives --durability group --workload churn --cases "$cases" >&2 ||
            status=1
        wait $! || status=1
    }
    count --json build/coverage/errors.json build/coverage/txn/CMakeFiles/tmf_txn_faults.dir
    /usr/bin/python3 -B results/coverage.py unreached build/coverage/errors.json txn/unreached.txt ||
        status=1
    exit "$status"
}

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit 0 ;;
    --error-branches) error_branches=1 ;;
    --cases=*) cases=${1#*=} ;;
    --cases)
        [ $# -gt 1 ] || { echo 'tmf coverage: --cases takes a number' >&2; exit 2; }
        cases=$2
        shift
        ;;
    *) echo "tmf coverage: '$1' is no option, see --help" >&2; exit 2 ;;
    esac
    shift
done
cd "$(dirname -- "$0")/.."
prepare
if [ -n "$error_branches" ]; then
    run_errors
else
    run_all
fi
