// What the answers of one model may be, where a job constrains them: constraints made once for
// equal wishes, and the tokens that may come next.
//
// Making one is long work, and is done aside (make_constraint). Bounded: the newest constraints are
// kept, and token_masks bounds what it remembers. Threading: make_constraint() on any thread;
// answer_constraints on one.
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

using compiled_constraint = std::shared_ptr<const kernels::json_constraint>;

// One to be made.
struct constraint_wish {
  std::string digest;  // of the model
  proto::AnswerConstraint asked;
  std::shared_ptr<const kernels::tokenizer> words;  // whose masks are to be made too; null: none
};

struct made_constraint {
  compiled_constraint rules;
  std::shared_ptr<kernels::token_masks> masks;  // of the wish's words; the receiver's alone
};

// Refuses (invalid_argument) a schema that cannot be taken, with the path in it. Throws nothing.
result<made_constraint> make_constraint(const constraint_wish& wish);

bool same_constraint(const proto::AnswerConstraint& a, const proto::AnswerConstraint& b);

class answer_constraints {
 public:
  static constexpr std::size_t kept_max = 32;

  explicit answer_constraints(std::shared_ptr<const kernels::tokenizer> words);

  // Null: it is to be made.
  compiled_constraint known(const proto::AnswerConstraint& asked);
  constraint_wish wish_for(const std::string& digest, const proto::AnswerConstraint& asked) const;
  // False: the masks are still missing, since the wish was made for an earlier loading.
  bool keep(const proto::AnswerConstraint& asked, const made_constraint& made);

  // A bit for each token: bit id % 64 of word id / 64. Empty where no token of this vocabulary may
  // come next. Valid until the next call. `answer` is of a constraint that was kept once.
  std::span<const std::uint64_t> allowed_after(const kernels::json_matcher& answer);

 private:
  struct kept_constraint {
    proto::AnswerConstraint asked;
    compiled_constraint rules;
  };

  std::shared_ptr<const kernels::tokenizer> words_;
  std::shared_ptr<kernels::token_masks> masks_;  // come with the first constraint
  std::vector<std::uint64_t> mask_;
  std::deque<kept_constraint> kept_;  // newest first
};

}  // namespace troupe
