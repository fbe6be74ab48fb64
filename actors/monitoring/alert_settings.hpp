// From when on something is told as an alert, and to whom. 0 turns a threshold off.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

// Jobs of a model whose name contains `model` (in any case) have their first token within `target`,
// but for one in 1 / (1 - share).
struct objective_wish {
  std::string model;
  std::chrono::milliseconds target{0};
  double share = 0.99;
};

struct alert_settings {
  std::chrono::milliseconds first_token_max{0};  // P99 of a window
  double error_rate_max = 0.05;                  // of the jobs that ended in a window
  double memory_share_max = 0.95;                // of the machine's memory
  double tokens_per_second_min = 0;              // while jobs run
  std::uint64_t disk_bytes_min = 1u << 30;
  std::uint32_t jobs_min = 20;                 // fewer say nothing of rates and percentiles
  std::chrono::milliseconds window{60'000};    // of error rates
  std::chrono::milliseconds holds_for{6'000};  // before it is told: a blink is no alert
  std::chrono::milliseconds ends_after{30'000};
  std::chrono::milliseconds told_again_after{240'000};  // while it lasts
  std::uint32_t told_per_minute_max = 10;               // over all
  std::chrono::milliseconds incident_window{30'000};    // what begins so soon after a node's loss
                                                        // is told as its consequence
  bool expects_gpu = false;                             // models are to be computed by one
  bool learns = true;                                   // what is usual at this time of day
  std::vector<objective_wish> objectives;
  std::chrono::milliseconds objective_window{3'600'000};
  std::string webhook;       // http://HOST:PORT/PATH, or empty
  std::string alertmanager;  // http://HOST:PORT, or empty
};

}  // namespace troupe
