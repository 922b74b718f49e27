/* SPDX-License-Identifier: MIT */
/*
 * Libraries are asked for their version where they can say it at run time; of the others it is the
 * one that was built with. What tmf_bench loads on top it says itself (bench/describe.cc).
 */
#include <gnu/libc-version.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <zstd.h>

#include "built.h"
#include "harness/environment_facts.h"
#include "revision.h"

#if defined(__clang__)
#define COMPILER __VERSION__ /* names itself */
#else
#define COMPILER "gcc " __VERSION__
#endif

json_t *find_compiler(const char *dir)
{
    (void)dir;
    return json_string(COMPILER);
}

json_t *find_build(const char *dir)
{
    (void)dir;
    return json_pack("{s:s, s:s, s:s, s:s}", "type", TMF_BUILD_TYPE, "flags", TMF_BUILD_FLAGS,
                     "sanitizers", TMF_BUILD_SANITIZERS, "coverage", TMF_BUILD_COVERAGE);
}

json_t *find_version(const char *dir)
{
    (void)dir;
    return json_string(TMF_VERSION);
}

json_t *find_revision(const char *dir)
{
    (void)dir;
    return json_string(TMF_REVISION);
}

static json_t *lmdb_version(void)
{
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    return json_sprintf("%d.%d.%d", major, minor, patch);
}

json_t *find_libraries(const char *dir)
{
    (void)dir;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "glibc", gnu_get_libc_version(),
                     "jansson", jansson_version_str(), "libfiu", TMF_FIU_VERSION, "libxxhash",
                     TMF_XXHASH_VERSION, "zstd", ZSTD_versionString(), "lmdb", lmdb_version(),
                     "sqlite", sqlite3_libversion(), "libpmemobj", TMF_PMEMOBJ_VERSION);
}
