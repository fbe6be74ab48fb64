// What the answers of one model may be, where a job constrains them: constraints compiled once for
// equal wishes, and the tokens that may come next.
//
// Bounded: the newest constraints are kept, and token_masks bounds what it remembers. Threading:
// one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/constraint/json_matcher.hpp"
#include "kernels/constraint/token_masks.hpp"
#include "kernels/tokenizer/tokenizer.hpp"
#include "proto/job.pb.h"

namespace troupe {

class answer_constraints {
 public:
  using compiled_constraint = std::shared_ptr<const kernels::json_constraint>;

  explicit answer_constraints(std::shared_ptr<const kernels::tokenizer> words);

  // Refuses (invalid_argument) a schema that cannot be taken, with the path in it.
  result<compiled_constraint> compiled(const proto::AnswerConstraint& wish);

  // A bit for each token: bit id % 64 of word id / 64. Empty where no token of this vocabulary may
  // come next. Valid until the next call.
  std::span<const std::uint64_t> allowed_after(const kernels::json_matcher& answer);

 private:
  static constexpr std::size_t kept_max = 32;
  struct kept_constraint {
    std::string schema;  // empty: any object
    compiled_constraint compiled;
  };

  std::shared_ptr<const kernels::tokenizer> words_;
  std::optional<kernels::token_masks> masks_;  // made for the first answer that needs it
  std::vector<std::uint64_t> mask_;
  std::deque<kept_constraint> kept_;  // newest first
};

}  // namespace troupe
