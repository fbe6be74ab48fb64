// What an inference actor is told at its start, and what it shows of its load.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace troupe {

struct inference_settings {
  std::string node;  // own node's name
  std::uint64_t incarnation =
      0;            // of the node; a fence that names another one is refused. 0: not checked
  int threads = 0;  // 0: the machine's cores
  std::vector<int> affinity;                  // cores for the engine's threads; empty: no pinning
  std::string variant;                        // instruction set; empty: the best of this machine
  std::uint32_t batch_tokens_max = 512;       // in one step
  std::uint32_t sequences_running_max = 64;   // in one model
  std::uint32_t sequences_waiting_max = 256;  // over all models; more are refused
  std::uint32_t sequence_tokens_max =
      1u << 20;                         // prompt and answer of one sequence, whatever the context
  std::uint32_t stops_max = 16;         // stop texts of one sequence
  std::uint32_t stop_bytes_max = 1024;  // of one stop text
  std::uint32_t fences_kept = 8192;     // ended jobs whose fence is remembered
  std::uint32_t canary_tokens = 8;
  std::chrono::milliseconds credit_wait{300'000};  // a sequence without credit for so long is ended
};

// Threading: any thread reads; the inference actor writes.
struct inference_load {
  std::atomic<std::uint32_t> running{0};
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<std::uint32_t> running_max{0};
  std::atomic<std::uint64_t> frames_fenced{0};  // dropped for an old fence
  std::atomic<double> decode_tokens_per_second{0};

  void set_sequences(std::map<std::string, std::uint32_t> by_digest) {
    const std::lock_guard lock{guard_};
    by_digest_ = std::move(by_digest);
  }
  // Sequences, running and waiting, of that model.
  std::uint32_t sequences_of(const std::string& digest) const {
    const std::lock_guard lock{guard_};
    const auto found = by_digest_.find(digest);
    return found == by_digest_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex guard_;
  std::map<std::string, std::uint32_t> by_digest_;
};

}  // namespace troupe
