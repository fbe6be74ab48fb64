#include "kernels/backend/cpu/step_plan.hpp"

#include <algorithm>
#include <string>

#include "kernels/ops/attention.hpp"

namespace troupe::kernels {
namespace {

error refuse(std::size_t sequence, const std::string& what, std::string mend) {
  return {error_code::invalid_argument,
          "sequence " + std::to_string(sequence) + " of the step: " + what, std::move(mend)};
}

}  // namespace

step_plan::step_plan(const hyperparameters& shape, std::uint32_t kv_blocks,
                     std::uint32_t batch_tokens_max)
    : vocabulary_(shape.vocabulary),
      context_(shape.context_tokens),
      heads_kv_(shape.heads_kv),
      group_(shape.heads / shape.heads_kv),
      kv_blocks_(kv_blocks),
      batch_tokens_max_(batch_tokens_max),
      writer_(kv_blocks, 0) {}

status step_plan::check(std::size_t index, const sequence_step& step) const {
  if (step.tokens.empty())
    return refuse(index, "it has no token", "give every sequence a token or leave it out");
  if (step.all_logits && step.no_logits)
    return refuse(index, "it asks for all logits and for none", "set one of the two at most");
  if (step.best > best_logits_max || (step.best > 0 && (step.all_logits || step.no_logits)))
    return refuse(index, "it asks for the " + std::to_string(step.best) + " best logits",
                  "up to " + std::to_string(best_logits_max) +
                      " are possible, and of the last token's logits alone");
  const std::uint64_t end = std::uint64_t{step.position} + step.tokens.size();
  if (end > context_)
    return refuse(index,
                  "position " + std::to_string(end - 1) + " lies past the context of " +
                      std::to_string(context_) + " tokens",
                  "shorten the sequence");
  for (const token_id token : step.tokens)
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary_)
      return refuse(index, "token " + std::to_string(token) + " is outside the vocabulary",
                    "0 to " + std::to_string(vocabulary_ - 1) + " are allowed");
  if (step.blocks.size() < blocks_for(end))
    return refuse(index,
                  std::to_string(step.blocks.size()) + " blocks hold no " + std::to_string(end) +
                      " positions",
                  std::to_string(blocks_for(end)) + " are needed");
  for (std::uint64_t b = 0; b < blocks_for(end); ++b)
    if (step.blocks[b] >= kv_blocks_)
      return refuse(index, "block " + std::to_string(step.blocks[b]) + " is outside the store",
                    "0 to " + std::to_string(kv_blocks_ - 1) + " are allowed");
  return {};
}

status step_plan::claim_blocks(std::span<const sequence_step> batch) {
  const auto first_written = [](const sequence_step& step) {
    return step.position / kv_block_tokens;
  };
  const auto end_of = [](const sequence_step& step) {
    return blocks_for(step.position + step.tokens.size());
  };
  block_id taken = 0;
  bool twice = false;
  std::size_t culprit = 0;
  for (std::size_t i = 0; i < batch.size() && !twice; ++i)
    for (std::uint64_t b = first_written(batch[i]); b < end_of(batch[i]) && !twice; ++b) {
      taken = batch[i].blocks[b];
      twice = writer_[taken] != 0;
      culprit = i;
      if (!twice) writer_[taken] = static_cast<std::uint32_t>(i) + 1;
    }
  for (std::size_t i = 0; i < batch.size() && !twice; ++i)
    for (std::uint32_t b = 0; b < first_written(batch[i]) && !twice; ++b) {
      taken = batch[i].blocks[b];
      twice = writer_[taken] != 0;
      culprit = i;
    }
  for (const sequence_step& step : batch)
    for (std::uint64_t b = first_written(step); b < end_of(step); ++b) writer_[step.blocks[b]] = 0;
  if (twice)
    return refuse(culprit,
                  "block " + std::to_string(taken) + " is written in this step and named twice",
                  "share only blocks that no sequence of the step writes");
  return {};
}

void step_plan::lay_out(const sequence_step& step) {
  const std::uint32_t first = static_cast<std::uint32_t>(rows_.size());
  const std::uint32_t count = static_cast<std::uint32_t>(step.tokens.size());
  sequences_.push_back({first, count, step.position, step.blocks.data()});
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t position = step.position + i;
    rows_.push_back({step.tokens[i], position, step.blocks[position / kv_block_tokens]});
    const bool logits = step.all_logits || (!step.no_logits && i + 1 == count);
    if (!logits && !step.hidden) continue;
    const std::uint32_t output = static_cast<std::uint32_t>(outputs_.size());
    outputs_.push_back(first + i);
    if (logits) logits_of_.push_back(output);
    if (logits) best_of_.push_back(step.best);
    if (step.hidden) hidden_of_.push_back(output);
  }
}

void step_plan::cut_tiles() {
  for (std::uint32_t s = 0; s < sequences_.size(); ++s) {
    const planned_sequence& sequence = sequences_[s];
    const std::uint32_t rows = sequence.tokens * group_;
    for (std::uint32_t begin = 0; begin < rows; begin += attention_rows_max) {
      const std::uint32_t end = std::min(rows, begin + attention_rows_max);
      for (std::uint32_t head = 0; head < heads_kv_; ++head)
        tiles_.push_back({s, head, begin, end});
    }
  }
  const auto last_position = [this](const planned_tile& tile) {
    return sequences_[tile.sequence].position + (tile.row_end - 1) / group_;
  };
  std::stable_sort(tiles_.begin(), tiles_.end(), [&](const planned_tile& a, const planned_tile& b) {
    return last_position(a) > last_position(b);
  });
  for (const planned_tile& tile : tiles_) {
    const std::uint32_t first = sequences_[tile.sequence].row + tile.row_begin / group_;
    const std::uint32_t last = sequences_[tile.sequence].row + (tile.row_end - 1) / group_;
    const auto at = std::lower_bound(outputs_.begin(), outputs_.end(), first);
    if (at != outputs_.end() && *at <= last) output_tiles_.push_back(tile);
  }
}

status step_plan::make(std::span<const sequence_step> batch) {
  rows_.clear();
  sequences_.clear();
  outputs_.clear();
  logits_of_.clear();
  hidden_of_.clear();
  best_of_.clear();
  tiles_.clear();
  output_tiles_.clear();
  std::uint64_t tokens = 0;
  for (const sequence_step& step : batch) tokens += step.tokens.size();
  if (tokens > batch_tokens_max_)
    return error{
        error_code::invalid_argument, "a step of " + std::to_string(tokens) + " tokens",
        std::to_string(batch_tokens_max_) + " are allowed; cut prompts into several steps"};
  for (std::size_t i = 0; i < batch.size(); ++i)
    if (status checked = check(i, batch[i]); !checked) return checked;
  if (status claimed = claim_blocks(batch); !claimed) return claimed;
  for (const sequence_step& step : batch) lay_out(step);
  cut_tiles();
  return {};
}

}  // namespace troupe::kernels
