// One step's batch, checked and laid out as rows: what the engine computes, decided before anything
// is computed.
//
// Pure apart from its own buffers, which it keeps from step to step. Rows stand in the order of the
// sequences and tokens. Beside what engine.hpp refuses, a block that is written by one sequence and
// named by another (or twice by the same) is refused: the result would depend on the order of work.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels {

struct planned_row {
  token_id token = 0;
  std::uint32_t position = 0;
  block_id block = 0;  // where its keys and values go, at slot position % kv_block_tokens
};

// Query rows [row_begin, row_end) of one sequence and kv head, as attention_task counts them.
struct planned_tile {
  std::uint32_t sequence = 0;
  std::uint32_t kv_head = 0;
  std::uint32_t row_begin = 0, row_end = 0;
};

struct planned_sequence {
  std::uint32_t row = 0;  // its first row in the step
  std::uint32_t tokens = 0;
  std::uint32_t position = 0;
  const block_id* blocks = nullptr;
};

class step_plan {
 public:
  step_plan(const hyperparameters& shape, std::uint32_t kv_blocks, std::uint32_t batch_tokens_max);

  // Errors: invalid_argument, naming the sequence; the plan is then of no use. The batch's spans
  // must outlive the plan's use.
  status make(std::span<const sequence_step> batch);

  std::span<const planned_row> rows() const { return rows_; }
  std::span<const planned_sequence> sequences() const { return sequences_; }
  // Rows that go through the whole model, rising: those whose logits or hidden row are asked for.
  std::span<const std::uint32_t> outputs() const { return outputs_; }
  // Of these, as indexes into outputs().
  std::span<const std::uint32_t> logits_of() const { return logits_of_; }
  std::span<const std::uint32_t> hidden_of() const { return hidden_of_; }
  // Of each of logits_of(): how many best are wanted in place of the row; 0: the row.
  std::span<const std::uint32_t> best_of() const { return best_of_; }
  std::span<const planned_tile> tiles() const { return tiles_; }  // most work first
  std::span<const planned_tile> output_tiles() const {
    return output_tiles_;
  }  // those that hold an output row

 private:
  status check(std::size_t index, const sequence_step& step) const;
  status claim_blocks(std::span<const sequence_step> batch);
  void lay_out(const sequence_step& step);
  void cut_tiles();

  std::uint32_t vocabulary_, context_, heads_kv_, group_, kv_blocks_, batch_tokens_max_;
  std::vector<planned_row> rows_;
  std::vector<planned_sequence> sequences_;
  std::vector<std::uint32_t> outputs_, logits_of_, hidden_of_, best_of_;
  std::vector<planned_tile> tiles_, output_tiles_;
  std::vector<std::uint32_t>
      writer_;  // of each block: 1 + the sequence that writes it, 0 where none does
};

}  // namespace troupe::kernels
