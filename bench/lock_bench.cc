/* SPDX-License-Identifier: MIT */
/*
 * What keeps processes apart, by itself, each way in turn:
 *
 *   flock         LOCK_SH to read, LOCK_EX to write, one file: the original's way
 *   flock_gate    the same with gates and rooms: txn/process_lock.h, as the library has it
 *   ofd           F_OFD_SETLKW of one byte, F_RDLCK or F_WRLCK
 *   robust_mutex  a process-shared, robust mutex; who reads keeps out who reads too
 *
 * lock/WAY/alone: taking it to read and giving it back while nobody else is there; for flock these
 * are two system calls, for which the beginning and end of a read (read/begin_end/alone) are to be
 * compared. lock/WAY/writer_in_stream: the mean time that one writer waits beside four readers who
 * overlap each other without end; lock/WAY/reader_in_stream: one reader beside four writers.
 * Counters: longest_us, p99_us of the waits; others_per_s, how often the four got in a second.
 *
 * Held fixed: the core of each, in turn; each of the four holds the lock for 100 us, asleep, and
 * asks again at once; the one asks `turns` times, a millisecond after it gave the lock back; a
 * stream ends after `stream_ns` at the latest, so who is starved waits for as long. The flocks
 * survive a process that dies, without a word; the mutex tells the next one; a byte range too, but
 * it can tell nobody "there is a writer waiting", nor does it stop newcomers. Checked: nobody was
 * inside beside a writer, and (but for the mutex) readers did overlap.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
#include "txn/format.h"
#include "txn/process_lock.h"
}

#include "bench.h"
#include "harness/pinning.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr unsigned others = 4;
constexpr unsigned turns = 50;
constexpr unsigned iterations = 3;
constexpr unsigned pairs_at_once = 1000;
constexpr auto held = std::chrono::microseconds(100);
constexpr auto pause_between = std::chrono::milliseconds(1);
constexpr std::uint64_t stream_ns = 1500000000;

void must(bool done, const char *what)
{
    if (!done)
        throw std::system_error(errno, std::generic_category(), what);
}

void must_be_0(int error, const char *what)
{
    errno = error;
    must(error == 0, what);
}

/* ---- the ways; each process has one of its own over the same files */

class way
{
  public:
    way() = default;
    virtual ~way() = default;
    way(const way &) = delete;
    way &operator=(const way &) = delete;
    virtual void lock(bool writes) = 0;
    virtual void unlock(bool writes) = 0;
};

class descriptor
{
  public:
    explicit descriptor(const std::string &path)
        : number(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600))
    {
        must(number >= 0, "opening a file to lock");
    }
    ~descriptor()
    {
        close(number);
    }
    descriptor(const descriptor &) = delete;
    descriptor &operator=(const descriptor &) = delete;
    const int number;
};

class by_flock : public way
{
  public:
    explicit by_flock(const std::string &path) : file_(path + ".main")
    {
    }
    void lock(bool writes) override
    {
        must(flock(file_.number, writes ? LOCK_EX : LOCK_SH) == 0, "flock");
    }
    void unlock(bool) override
    {
        must(flock(file_.number, LOCK_UN) == 0, "flock");
    }

  private:
    descriptor file_;
};

class by_gate : public way
{
  public:
    explicit by_gate(const std::string &path)
        : log_(path + ".log"),
          head_(map_head(log_.number)), lock_{log_.number, false,
                                              reinterpret_cast<const std::uint64_t *>(
                                                  head_ + TMF_LOG_NOTICE_OFFSET)}
    {
    }
    ~by_gate() override
    {
        munmap(head_, TMF_PAGE_SIZE);
    }
    by_gate(const by_gate &) = delete;
    by_gate &operator=(const by_gate &) = delete;
    void lock(bool writes) override
    {
        if (!writes) {
            must_be_0(tmf_process_share(&lock_, TMF_WAIT_FOREVER), "sharing");
            return;
        }
        must_be_0(tmf_process_write(&lock_, TMF_WAIT_FOREVER), "locking to write");
        must_be_0(tmf_process_alone(&lock_, TMF_WAIT_FOREVER), "locking out the readers");
    }
    void unlock(bool writes) override
    {
        if (!writes)
            return tmf_process_unshare(&lock_);
        tmf_process_not_alone(&lock_);
        tmf_process_unwrite(&lock_);
    }

  private:
    static unsigned char *map_head(int log)
    {
        must(ftruncate(log, TMF_PAGE_SIZE) == 0, "making the log's first page");
        void *head = mmap(nullptr, TMF_PAGE_SIZE, PROT_READ, MAP_SHARED, log, 0);
        must(head != MAP_FAILED, "mapping the log's first page");
        return static_cast<unsigned char *>(head);
    }
    descriptor log_;
    unsigned char *head_;
    tmf_process_lock lock_;
};

class by_ofd : public way
{
  public:
    explicit by_ofd(const std::string &path) : file_(path + ".ofd")
    {
    }
    void lock(bool writes) override
    {
        set(writes ? F_WRLCK : F_RDLCK);
    }
    void unlock(bool) override
    {
        set(F_UNLCK);
    }

  private:
    void set(short type)
    {
        struct flock range = {};
        range.l_type = type;
        range.l_whence = SEEK_SET;
        range.l_len = 1;
        must(fcntl(file_.number, F_OFD_SETLKW, &range) == 0, "F_OFD_SETLKW");
    }
    descriptor file_;
};

class by_mutex : public way
{
  public:
    explicit by_mutex(pthread_mutex_t *mutex) : mutex_(mutex)
    {
    }
    void lock(bool) override
    {
        must_be_0(pthread_mutex_lock(mutex_), "locking a robust mutex");
    }
    void unlock(bool) override
    {
        must_be_0(pthread_mutex_unlock(mutex_), "unlocking a robust mutex");
    }

  private:
    pthread_mutex_t *mutex_;
};

/* ---- what the processes share */

struct scene {
    pthread_mutex_t mutex;
    std::atomic<bool> over, broken;
    std::atomic<unsigned> readers, writers; /* inside */
    std::atomic<unsigned> overlaps;         /* readers that met a reader */
    std::atomic<std::uint64_t> entries;     /* of the four */
    std::uint64_t ends_ns;
};

std::uint64_t now_ns()
{
    auto since = steady::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(since).count());
}

class shared_scene
{
  public:
    shared_scene()
    {
        void *at =
            mmap(nullptr, sizeof(scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        must(at != MAP_FAILED, "mapping shared memory");
        it = new (at) scene{};
        pthread_mutexattr_t robust;
        must_be_0(pthread_mutexattr_init(&robust), "making a mutex");
        must_be_0(pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED), "making a mutex");
        must_be_0(pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST), "making a mutex");
        must_be_0(pthread_mutex_init(&it->mutex, &robust), "making a mutex");
        pthread_mutexattr_destroy(&robust);
        it->ends_ns = now_ns() + stream_ns;
    }
    ~shared_scene()
    {
        munmap(it, sizeof(*it));
    }
    shared_scene(const shared_scene &) = delete;
    shared_scene &operator=(const shared_scene &) = delete;
    scene *it;
};

std::unique_ptr<way> make_way(const std::string &name, const std::string &path, scene *shared)
{
    if (name == "flock")
        return std::make_unique<by_flock>(path);
    if (name == "flock_gate")
        return std::make_unique<by_gate>(path);
    if (name == "ofd")
        return std::make_unique<by_ofd>(path);
    return std::make_unique<by_mutex>(&shared->mutex);
}

/* ---- inside: says so, and looks who else is */

void enter(scene &shared, bool writes)
{
    unsigned readers = writes ? shared.readers.load() : shared.readers++;
    unsigned writers = writes ? shared.writers++ : shared.writers.load();
    if (writers > 0 || (writes && readers > 0))
        shared.broken = true;
    if (!writes && readers > 0)
        shared.overlaps++;
}

void leave(scene &shared, bool writes)
{
    if (writes)
        shared.writers--;
    else
        shared.readers--;
}

/* ---- one of the four */

[[noreturn]] void stream(const std::string &name, const std::string &path, scene &shared,
                         bool writes, std::size_t core)
{
    try {
        must_be_0(pinning_take(core), "pinning to a core");
        std::unique_ptr<way> own = make_way(name, path, &shared);
        while (!shared.over && now_ns() < shared.ends_ns) {
            own->lock(writes);
            enter(shared, writes);
            shared.entries++;
            std::this_thread::sleep_for(held);
            leave(shared, writes);
            own->unlock(writes);
        }
    } catch (const std::exception &) {
        _exit(1);
    }
    _exit(0);
}

class streamers
{
  public:
    streamers(const std::string &name, const std::string &path, scene &shared, bool write)
        : shared_(shared)
    {
        for (unsigned n = 0; n < others; n++) {
            pid_t pid = fork();
            must(pid >= 0, "fork");
            if (pid == 0)
                stream(name, path, shared, write, n + 1); /* on the first is the one */
            all_.push_back(pid);
        }
    }
    ~streamers()
    {
        join();
    }
    streamers(const streamers &) = delete;
    streamers &operator=(const streamers &) = delete;
    bool join()
    {
        bool well = true;
        shared_.over = true;
        for (pid_t pid : all_) {
            int status = 0;
            well = waitpid(pid, &status, 0) == pid && status == 0 && well;
        }
        all_.clear();
        return well;
    }

  private:
    scene &shared_;
    std::vector<pid_t> all_;
};

/* ---- the one */

double wait_once(way &own, scene &shared, bool writes)
{
    auto start = steady::now();
    own.lock(writes);
    std::chrono::duration<double, std::micro> waited = steady::now() - start;
    enter(shared, writes);
    leave(shared, writes);
    own.unlock(writes);
    return waited.count();
}

/* Waits in us, as many as there were turns before the stream was over. */
std::vector<double> wait_in_stream(const std::string &name, const std::string &path, scene &shared,
                                   bool writes)
{
    std::vector<double> waits;
    std::unique_ptr<way> own = make_way(name, path, &shared);
    streamers four(name, path, shared, !writes);
    while (shared.entries < others)
        std::this_thread::sleep_for(held);
    while (waits.size() < turns && now_ns() < shared.ends_ns) {
        waits.push_back(wait_once(*own, shared, writes));
        std::this_thread::sleep_for(pause_between);
    }
    if (!four.join() || shared.broken)
        throw std::runtime_error("the lock did not keep readers and writers apart");
    if (writes && name != "robust_mutex" && shared.overlaps == 0)
        throw std::runtime_error("readers did not overlap, so there was no stream of them");
    return waits;
}

void in_stream(benchmark::State &state, const folder *where, const std::string &name, bool writes)
{
    try {
        std::vector<double> all;
        double seconds = 0;
        std::uint64_t entries = 0;
        while (state.KeepRunning()) {
            shared_scene shared;
            auto start = steady::now();
            std::vector<double> waits =
                wait_in_stream(name, where->path("lock"), *shared.it, writes);
            seconds += std::chrono::duration<double>(steady::now() - start).count();
            entries += shared.it->entries;
            double sum = 0;
            for (double wait : waits)
                sum += wait;
            state.SetIterationTime(sum / static_cast<double>(waits.size()) / 1e6);
            all.insert(all.end(), waits.begin(), waits.end());
        }
        std::sort(all.begin(), all.end());
        state.counters["longest_us"] = all.back();
        state.counters["p99_us"] = all[all.size() * 99 / 100];
        state.counters["others_per_s"] = static_cast<double>(entries) / seconds;
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void alone(benchmark::State &state, const folder *where, const std::string &name)
{
    try {
        shared_scene shared;
        std::unique_ptr<way> own = make_way(name, where->path("lock"), shared.it);
        while (state.KeepRunning()) {
            auto start = steady::now();
            for (unsigned n = 0; n < pairs_at_once; n++) {
                own->lock(false);
                own->unlock(false);
            }
            std::chrono::duration<double> spent = steady::now() - start;
            state.SetIterationTime(spent.count() / pairs_at_once);
        }
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_lock_benchmarks(const folder &where)
{
    for (const std::string name : {"flock", "flock_gate", "ofd", "robust_mutex"}) {
        benchmark::RegisterBenchmark(("lock/" + name + "/alone").c_str(), alone, &where, name)
            ->UseManualTime()
            ->Iterations(64);
        for (bool writes : {true, false}) {
            std::string one = writes ? "/writer_in_stream" : "/reader_in_stream";
            benchmark::RegisterBenchmark(("lock/" + name + one).c_str(), in_stream, &where, name,
                                         writes)
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond)
                ->Iterations(iterations);
        }
    }
}
