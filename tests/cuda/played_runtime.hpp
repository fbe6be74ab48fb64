// What tests may set about the device that played_runtime.cpp plays.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

struct CUstream_st;

namespace troupe::kernels::testing {

struct played_device {
  std::size_t bytes = std::size_t{1} << 30;
  std::atomic<std::size_t> bytes_used{0};
  int multiprocessors = 4;
  bool takes_graphs = true;
  std::atomic<std::size_t> launches{0};  // kernels that ran, recorded or not
  std::atomic<std::size_t> graphs{0};    // that are held
  int count = 1;    // such devices, all of one memory; device i is at place i + 1 of the bus
  int broken = -1;  // the one that tells nothing of itself
  inline static thread_local int current = 0;
  // Work of a stream runs as late as it can: when somebody waits for it. Else at once.
  bool late = true;
  bool hangs = false;  // whoever waits, waits for ever
};
played_device& the_played_device();

struct several_gpus {
  explicit several_gpus(int count) { the_played_device().count = count; }
  ~several_gpus() { the_played_device().count = 1; }
};

// Operations that were put on streams and have not run.
std::size_t operations_waiting();

// A kernel's launch: runs it, or keeps it where the stream is being recorded. `kernel` holds its
// arguments as a launch does, by value.
void play(CUstream_st* on, std::function<void()> kernel);

}  // namespace troupe::kernels::testing
