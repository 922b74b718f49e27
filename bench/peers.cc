/* SPDX-License-Identifier: MIT */
/*
 * jemalloc's library wants more room among the thread variables than a program keeps free for what
 * it loads later; GLIBC_TUNABLES=glibc.rtld.optional_static_tls=8192, which `tmf bench` sets, makes
 * that room.
 */
#include "peers.h"

#include <dlfcn.h>
#include <new>
#include <stdexcept>

#ifdef TMF_HAVE_BOOST
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

#include "region.h"
#endif

namespace
{

#ifdef TMF_HAVE_BOOST
template <class void_pointer> class boost_rbtree : public allocator
{
    using algorithm =
        boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family, void_pointer>;

  public:
    explicit boost_rbtree(std::size_t bytes) : memory_(bytes)
    {
        heap_ = new (memory_.at) algorithm(memory_.size, 0);
    }
    ~boost_rbtree() override
    {
        heap_->~algorithm();
    }
    boost_rbtree(const boost_rbtree &) = delete;
    boost_rbtree &operator=(const boost_rbtree &) = delete;

    void *allocate(std::size_t size) override
    {
        void *made = heap_->allocate(size);
        if (made == nullptr)
            throw std::bad_alloc();
        return made;
    }
    void free(void *at, std::size_t) override
    {
        heap_->deallocate(at);
    }
    static std::unique_ptr<allocator> make(std::size_t bytes)
    {
        return std::make_unique<boost_rbtree>(bytes);
    }

  private:
    region memory_;
    algorithm *heap_;
};
#endif

/* An allocator of a library, which stays loaded: functions by their names in it. */
struct library {
    const char *name, *file, *allocate, *free;
    const char *free_sized; /* NULL: free it is */
};

constexpr library libraries[] = {
    {"jemalloc", "libjemalloc.so.2", "malloc", "free", nullptr},
    {"jemalloc-sized", "libjemalloc.so.2", "malloc", nullptr, "sdallocx"},
    {"mimalloc", "libmimalloc.so.2", "mi_malloc", "mi_free", nullptr},
};

template <std::size_t n> class loaded : public allocator
{
  public:
    loaded()
    {
        find(allocate_, libraries[n].allocate);
        find(free_, libraries[n].free);
        find(free_sized_, libraries[n].free_sized);
    }
    void *allocate(std::size_t size) override
    {
        void *made = allocate_(size);
        if (made == nullptr)
            throw std::bad_alloc();
        return made;
    }
    void free(void *at, std::size_t size) override
    {
        if constexpr (libraries[n].free != nullptr)
            free_(at);
        else
            free_sized_(at, size, 0);
    }
    bool is_shared() const override
    {
        return true;
    }
    static std::unique_ptr<allocator> make(std::size_t)
    {
        return std::make_unique<loaded>();
    }
    static peer as_peer()
    {
        std::string missing = handle() != nullptr ? "" : dlerror();
        return {libraries[n].name, missing, make};
    }

  private:
    static void *handle()
    {
        return dlopen(libraries[n].file, RTLD_NOW | RTLD_LOCAL);
    }
    template <class function> static void find(function *&out, const char *symbol)
    {
        if (symbol == nullptr)
            return;
        out = reinterpret_cast<function *>(dlsym(handle(), symbol));
        if (out == nullptr)
            throw std::runtime_error(dlerror());
    }

    void *(*allocate_)(std::size_t) = nullptr;
    void (*free_)(void *) = nullptr;
    void (*free_sized_)(void *, std::size_t, int) = nullptr;
};

} // namespace

std::vector<peer> peers()
{
    return {
#ifdef TMF_HAVE_BOOST
        {"boost-rbtree", "", boost_rbtree<boost::interprocess::offset_ptr<void>>::make},
        {"boost-rbtree-raw", "", boost_rbtree<void *>::make},
#endif
        loaded<0>::as_peer(),
        loaded<1>::as_peer(),
        loaded<2>::as_peer(),
    };
}

/* jemalloc says "5.3.0-0-g54eaed1d8b...", mimalloc 205 for 2.0.5. */
std::vector<library_version> peer_versions()
{
    std::vector<library_version> all;
    void *jemalloc = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    void *mimalloc = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    using control = int (*)(const char *, void *, std::size_t *, void *, std::size_t);
    auto ask = jemalloc ? reinterpret_cast<control>(dlsym(jemalloc, "mallctl")) : nullptr;
    const char *words = nullptr;
    std::size_t size = sizeof(words);
    if (ask != nullptr && ask("version", &words, &size, nullptr, 0) == 0)
        all.push_back({"jemalloc", words});
    auto number = mimalloc ? reinterpret_cast<int (*)()>(dlsym(mimalloc, "mi_version")) : nullptr;
    if (number != nullptr)
        all.push_back({"mimalloc", std::to_string(number())});
    return all;
}
