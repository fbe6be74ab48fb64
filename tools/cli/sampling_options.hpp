// The flags that say how tokens are drawn; `submit` and `generate` have the same. Values are judged
// where they are used.
#pragma once

#include <CLI/CLI.hpp>

namespace troupe::cli {

// Sampling has the fields of client::sampling: those of kernels::sampling_parameters have the same
// names.
template <class Sampling>
void add_sampling_options(CLI::App& command, Sampling& sampling) {
  command.add_option("--temperature", sampling.temperature, "0: always the most probable token")
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "draw from the K most probable tokens; 0: off")
      ->capture_default_str();
  command
      .add_option("--top-p", sampling.top_p,
                  "draw from the tokens that make up this probability; 1: off")
      ->capture_default_str();
  command
      .add_option("--min-p", sampling.min_p,
                  "leave out tokens less probable than this share of the best; 0: off")
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", sampling.repetition_penalty,
                  "over prompt and answer; 1: off")
      ->capture_default_str();
  command.add_option("--presence-penalty", sampling.presence_penalty, "over the answer; 0: off")
      ->capture_default_str();
  command.add_option("--frequency-penalty", sampling.frequency_penalty, "over the answer; 0: off")
      ->capture_default_str();
}

}  // namespace troupe::cli
