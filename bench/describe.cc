/* SPDX-License-Identifier: MIT */
#include "describe.h"

#include <ostream>

#ifdef TMF_HAVE_BOOST
#include <boost/version.hpp>
#endif

#include "delay.h"
#include "peers.h"

void describe(std::ostream &to)
{
    to << "{\"build\": {\"fault_points\": " << (has_fault_points() ? "true" : "false")
       << "}, \"libraries\": {\"benchmark\": \"" << TMF_BENCHMARK_VERSION << '"';
#ifdef TMF_HAVE_BOOST
    to << ", \"boost\": \"" << BOOST_LIB_VERSION << '"';
#endif
    for (const library_version &each : peer_versions())
        to << ", \"" << each.name << "\": \"" << each.version << '"';
    to << "}}\n";
}
