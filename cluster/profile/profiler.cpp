#include "cluster/profile/profiler.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "cluster/profile/symbols.hpp"

namespace troupe::profile {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds look_every{100};
constexpr std::uint64_t hardly_any_us = 200'000;
constexpr std::size_t raw_stacks_max = 16'384;
constexpr std::uint64_t unseen_samples_min = 3;  // a thread that used less may just have none yet

std::uint64_t process_cpu_us() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec) / 1000;
}

std::string seconds_of(std::uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(us) / 1e6);
  return text;
}

const char* word_of(proto::ProfileKind kind) {
  return kind == proto::PROFILE_HEAP ? "heap" : "cpu";
}

// Stacks as addresses, counted while the profile lasts: names are looked up when it is over.
class raw_stacks {
 public:
  void add(const cpu_sample& sample) {
    std::string key(sample.thread);
    key += '\0';
    key += sample.actor;
    key += '\0';
    key += sample.cut ? '1' : '0';
    key.append(reinterpret_cast<const char*>(sample.frames.data()), sample.frames.size_bytes());
    if (counts_.size() < raw_stacks_max || counts_.contains(key))
      ++counts_[std::move(key)];
    else
      ++left_out_;
  }

  void fold(symbols& names, folded_stacks& to) const {
    for (const auto& [key, count] : counts_) {
      const std::size_t thread = key.find('\0'), actor = key.find('\0', thread + 1);
      std::vector<std::string> stack = {key.substr(0, thread)};
      if (actor > thread + 1)
        stack.push_back("actor " + key.substr(thread + 1, actor - thread - 1));
      if (key[actor + 1] == '1') stack.emplace_back("(deeper)");
      const char* const frames = key.data() + actor + 2;
      const std::size_t depth = (key.size() - actor - 2) / sizeof(std::uintptr_t);
      for (std::size_t at = depth; at-- > 0;) {
        std::uintptr_t address;
        std::memcpy(&address, frames + at * sizeof address, sizeof address);
        stack.push_back(names.name_of(at == 0 ? address : address - 1));  // where it was called
      }
      to.add(stack, count);
    }
    if (left_out_ > 0) to.add(std::string(left_out_stack), left_out_);
  }

 private:
  std::unordered_map<std::string, std::uint64_t> counts_;
  std::uint64_t left_out_ = 0;
};

bool is_allocator(const std::string& name) {
  return name.starts_with("operator new") || name.starts_with("troupe::profile::") ||
         name.find("(anonymous namespace)::or_throw") != std::string::npos;
}

void fold(const heap_samples& samples, symbols& names, folded_stacks& to) {
  for (const heap_sample& one : samples.alive) {
    std::vector<std::string> stack;
    if (one.frames.size() >= heap_frames_max) stack.emplace_back("(deeper)");
    for (std::size_t at = one.frames.size(); at-- > 0;)
      stack.push_back(names.name_of(reinterpret_cast<std::uintptr_t>(one.frames[at]) - 1));
    while (stack.size() > 1 && is_allocator(stack.back())) stack.pop_back();
    to.add(stack, one.bytes);
  }
}

void write(const folded_stacks& stacks, proto::NodeProfile& to) {
  folded_stacks::written written = stacks.text();
  to.set_folded(std::move(written.text));
  to.set_value(stacks.value());
  to.set_stacks_left_out(written.stacks_left_out);
  to.set_value_left_out(written.value_left_out);
}

}  // namespace

std::vector<std::string> cpu_notes(const std::vector<thread_use>& threads, std::uint64_t cpu_us) {
  std::uint64_t taken = 0, dropped = 0, unseen_us = 0;
  for (const thread_use& one : threads) {
    taken += one.samples;
    dropped += one.dropped;
    if (one.samples + one.dropped == 0) unseen_us += one.cpu_us;
  }
  const std::uint64_t expected = cpu_us * samples_per_second / 1'000'000;
  std::vector<std::string> out;
  if (taken + dropped == 0) {
    out.push_back(cpu_us < hardly_any_us
                      ? "the node used hardly any processor time meanwhile: " + seconds_of(cpu_us)
                      : "no sample came although the node used " + seconds_of(cpu_us) +
                            " of processor time: this kernel sends no SIGPROF from timers of "
                            "threads' time");
  } else if (expected > 50 &&
             taken + dropped + unseen_us * samples_per_second / 1'000'000 < expected / 2) {
    out.push_back("only " + std::to_string(taken + dropped) + " of about " +
                  std::to_string(expected) +
                  " samples came: the kernel's timer is coarse; shares hold, counts do not");
  }
  if (dropped > 0)
    out.push_back(std::to_string(dropped) + " samples found no room and are not here");
  return out;
}

profiler::~profiler() {
  {
    const std::lock_guard lock{guard_};
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

status profiler::begin(const proto::ReadProfile& asked, const std::string& asked_by, done tell) {
  const std::lock_guard lock{guard_};
  if (ending_) return error{error_code::unavailable, "node " + node_ + " stops", ""};
  if (running_)
    return error{error_code::already_exists, "node " + node_ + " is being profiled already",
                 "wait until that profile has ended: 60 seconds at most"};
  if (asked.kind() == proto::PROFILE_HEAP && !heap::operators_here)
    return error{error_code::unsupported,
                 "node " + node_ + " does not count its allocations: its build has a sanitizer",
                 "profile the heap of a daemon that was built without one"};
  if (thread_.joinable()) thread_.join();  // it has told, and ends
  running_ = true;
  spdlog::info("profile_begins kind={} seconds={} asked_by={}", word_of(asked.kind()),
               asked.seconds(), asked_by);
  try {
    thread_ = std::thread([this, asked, tell = std::move(tell)] { run(asked, tell); });
  } catch (const std::system_error& failed) {
    running_ = false;
    return error{error_code::resource_exhausted,
                 "node " + node_ + " has no thread left to profile with: " + failed.what(),
                 "raise its limit of processes"};
  }
  return {};
}

void profiler::run(const proto::ReadProfile& asked, const done& tell) {
  ::pthread_setname_np(::pthread_self(), "profiler");
  auto told = watch(asked);
  if (told)
    spdlog::info("profile_ended kind={} samples={} dropped={} lasted_ms={}", word_of(asked.kind()),
                 told->samples(), told->samples_dropped(), told->lasted_ms());
  else
    spdlog::warn("profile_failed kind={} reason=\"{}\"", word_of(asked.kind()),
                 told.failure().text());
  {
    const std::lock_guard lock{guard_};
    running_ = false;  // before it is told: who hears it may ask for the next
  }
  tell(std::move(told));
}

bool profiler::sleep_until(steady_clock::time_point until) {
  std::unique_lock lock{guard_};
  return wake_.wait_until(lock, until, [this] { return ending_; });
}

result<proto::NodeProfile> profiler::watch(const proto::ReadProfile& asked) {
  proto::NodeProfile out;
  out.set_node(node_);
  out.set_kind(asked.kind());
  const auto began = steady_clock::now();
  const std::uint64_t cpu_began = process_cpu_us();
  const auto until = began + std::chrono::seconds(asked.seconds());
  const auto over = [&] {
    out.set_cpu_us(process_cpu_us() - cpu_began);
    out.set_lasted_ms(static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(steady_clock::now() - began).count()));
  };
  const status watched = asked.kind() == proto::PROFILE_HEAP ? watch_heap(until, over, out)
                                                             : watch_cpu(until, over, out);
  if (!watched) return watched.failure();
  return out;
}

status profiler::watch_cpu(steady_clock::time_point until, const std::function<void()>& over,
                           proto::NodeProfile& to) {
  auto begun = cpu_sampler::begin();
  if (!begun) return begun.failure();
  cpu_sampler& sampler = **begun;
  raw_stacks raw;
  const auto take = [&](const cpu_sample& sample) { raw.add(sample); };
  bool ending = false;
  while (!ending && steady_clock::now() < until) {
    ending = sleep_until(std::min(until, steady_clock::now() + look_every));
    sampler.look_for_threads();
    sampler.collect(take);
  }
  sampler.end();
  over();
  sampler.collect(take);
  if (ending) return error{error_code::unavailable, "node " + node_ + " stops", ""};
  folded_stacks stacks;
  symbols names;
  raw.fold(names, stacks);
  const std::vector<thread_use> threads = sampler.threads();
  for (const thread_use& one : threads) {
    to.set_samples(to.samples() + one.samples);
    to.set_samples_dropped(to.samples_dropped() + one.dropped);
  }
  // Libraries block signals in threads of their own; what such a thread used is known all the same.
  for (const thread_use& one : threads) {
    const std::uint64_t unseen = one.cpu_us * samples_per_second / 1'000'000;
    if (to.samples() > 0 && one.samples + one.dropped == 0 && unseen >= unseen_samples_min)
      stacks.add(frame_of(one.name) + ";(takes no signals)", unseen);
  }
  to.set_unit("samples");
  for (std::string& note : cpu_notes(threads, to.cpu_us())) to.add_notes(std::move(note));
  write(stacks, to);
  return {};
}

status profiler::watch_heap(steady_clock::time_point until, const std::function<void()>& over,
                            proto::NodeProfile& to) {
  if (status begun = begin_heap_sampling(); !begun) return begun;
  const bool ending = sleep_until(until);
  const heap_samples samples = end_heap_sampling();
  over();
  if (ending) return error{error_code::unavailable, "node " + node_ + " stops", ""};
  folded_stacks stacks;
  symbols names;
  fold(samples, names, stacks);
  to.set_unit("bytes");
  to.set_samples(samples.taken);
  to.set_samples_dropped(samples.dropped);
  to.add_notes(
      "about one allocation in 512 KiB was looked at: small things are an estimate. What "
      "came from malloc() or mmap() itself is not here");
  if (samples.alive.empty()) to.add_notes("nothing that was looked at is still there");
  if (samples.dropped > 0)
    to.add_notes(std::to_string(samples.dropped) + " samples found no room and are not here");
  write(stacks, to);
  return {};
}

}  // namespace troupe::profile
