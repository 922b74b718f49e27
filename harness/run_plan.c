/* SPDX-License-Identifier: MIT */
#include "harness/run_plan.h"

const struct step run_steps[RUN_STEPS] = {
    {"kill", {"kill", "--strategy", "all", "--quantum", "32,64"}, 0.28, 1, STATUS_HELD, true},
    {"error", {"error", "--strategy", "all"}, 0.17, 1, STATUS_HELD, true},
    {"power", {"power"}, 0.14, 100, STATUS_HELD, true}, /* sees to its own controls */
    {"power-many",
     {"power", "--processes", "3", "--workload", "bank"},
     0.02,
     20,
     STATUS_HELD,
     true},
    {"power-mix", {"power", "--mixed", "--workload", "bank"}, 0.01, 20, STATUS_HELD, true},
    {"control", {"kill", "--strategy", "control"}, 0.06, 1, STATUS_VIOLATION, true},
    {"threads", {"threads", "--strategy", "all"}, 0.07, 0, STATUS_HELD, false},
    {"procs", {"procs", "--strategy", "all"}, 0.07, 0, STATUS_HELD, false},
    {"procs-mix",
     {"procs", "--strategy", "all", "--mixed", "--faults"},
     0.02,
     0,
     STATUS_HELD,
     false},
    {"bench", {"bench"}, 0, 0, STATUS_HELD, false},
    {"mutants", {"mutants"}, 0.16, 0, STATUS_HELD, false},
};

const struct profile run_profiles[RUN_PROFILES] = {
    {"quick",
     75,
     600,
     false,
     {"--repetitions", "3", "--min-time", "0.05"},
     {"-:10{5,6}$|:(32|128)/|crowded|lognormal|pages:(4|256)$|"
      "^(fragmentation|latency|trace|txn_alloc|split|floor|recovery|strategy|engine|lock)/"}},
    {"full",
     10800,
     7200,
     true,
     {"--repetitions", "9", "--min-time", "0.3"},
     {"^alloc_free/.*:10{2,5}$", "^alloc_free/[^/]+(/quantum:[0-9]+)?/free_blocks:10{6}$",
      "^latency/", "^fragmentation/", "^txn_alloc/", "^trace/", "^strategy/",
      "-^(alloc_free|latency|fragmentation|txn_alloc|trace|strategy)/"}},
};
