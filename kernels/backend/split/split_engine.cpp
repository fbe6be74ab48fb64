#include "kernels/backend/split/split_engine.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <string>

#include "kernels/model/model.hpp"

namespace troupe::kernels {
namespace {

// Distinct names in order, joined by '+'.
std::string joined(const std::vector<std::unique_ptr<stage>>& stages,
                   std::string engine_description::*name) {
  std::vector<std::string> seen;
  for (const auto& one : stages)
    if (const std::string& next = one->description().*name;
        std::find(seen.begin(), seen.end(), next) == seen.end())
      seen.push_back(next);
  std::string all;
  for (const std::string& next : seen) all += (all.empty() ? "" : "+") + next;
  return all;
}

std::uint32_t fewest_blocks(const std::vector<std::unique_ptr<stage>>& stages) {
  std::uint32_t blocks = stages.front()->description().kv_blocks;
  for (const auto& one : stages) blocks = std::min(blocks, one->description().kv_blocks);
  return blocks;
}

}  // namespace

split_engine::split_engine(const model& source, std::uint32_t batch_tokens_max,
                           std::vector<std::unique_ptr<stage>> stages)
    : shape_(source.shape),
      stages_(std::move(stages)),
      plan_(shape_, fewest_blocks(stages_), batch_tokens_max),
      streams_(stages_.size()),
      coming_(stages_.size()) {
  description_ = {.backend = joined(stages_, &engine_description::backend),
                  .numerics_class = joined(stages_, &engine_description::numerics_class),
                  .variant = joined(stages_, &engine_description::variant),
                  .vocabulary_size = shape_.vocabulary,
                  .embedding_size = shape_.embedding,
                  .context_tokens_max = shape_.context_tokens,
                  .kv_blocks = fewest_blocks(stages_)};
  for (const auto& one : stages_) {
    description_.weight_bytes += one->description().weight_bytes;
    description_.kv_bytes += one->description().kv_bytes;
  }
}

std::optional<error> split_engine::lost() const {
  for (const auto& one : stages_)
    if (auto why = one->lost()) return why;
  return std::nullopt;
}

// Pieces of about equal length, twice as many as stages at most. A sequence is cut where a piece is
// full; only its last part gives the last token's logits.
void split_engine::cut(std::span<const sequence_step> batch) {
  std::uint32_t tokens = 0;
  for (const sequence_step& step : batch) tokens += static_cast<std::uint32_t>(step.tokens.size());
  const auto most = static_cast<std::uint32_t>(2 * stages_.size());
  const std::uint32_t count =
      std::clamp(tokens / piece_tokens_min, 1u, stages_.size() > 1 ? most : 1u);
  const std::uint32_t full = (tokens + count - 1) / count;
  pieces_.assign(1, {});
  for (const sequence_step& whole : batch) {
    sequence_step rest = whole;
    while (!rest.tokens.empty()) {
      if (pieces_.back().tokens == full) pieces_.emplace_back();
      piece& to = pieces_.back();
      const auto taken = std::min<std::size_t>(rest.tokens.size(), full - to.tokens);
      sequence_step part = rest;
      part.tokens = rest.tokens.first(taken);
      if (taken < rest.tokens.size() && !part.all_logits) {
        part.no_logits = true;
        part.best = 0;
      }
      to.steps.push_back(part);
      to.tokens += static_cast<std::uint32_t>(taken);
      rest.tokens = rest.tokens.subspan(taken);
      rest.position += static_cast<std::uint32_t>(taken);
    }
  }
}

void split_engine::collect(const step_logits& from) {
  logits_.insert(logits_.end(), from.values.begin(), from.values.end());
  hidden_.insert(hidden_.end(), from.hidden.begin(), from.hidden.end());
  best_.insert(best_.end(), from.best.begin(), from.best.end());
}

// All that begin in the round, then all that end: a stage on this machine computes as it ends,
// while the others are at it.
status split_engine::run_round(std::size_t round) {
  const auto piece_in = [&](std::size_t s) -> const piece* {
    return round >= s && round - s < pieces_.size() ? &pieces_[round - s] : nullptr;
  };
  std::vector<bool> begun(stages_.size());
  status all{};
  for (std::size_t s = 0; s < stages_.size() && all; ++s)
    if (const piece* in = piece_in(s)) {
      all = stages_[s]->begin(in->steps, streams_[s]);
      begun[s] = static_cast<bool>(all);
    }
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    if (!begun[s]) continue;
    auto out = stages_[s]->finish();
    if (!out) {
      if (all) all = out.failure();
    } else if (s + 1 < stages_.size()) {
      coming_[s + 1].assign(out->stream.begin(), out->stream.end());
    } else {
      collect(out->logits);
    }
  }
  streams_.swap(coming_);
  return all;
}

result<step_logits> split_engine::step(std::span<const sequence_step> batch) try {
  if (status planned = plan_.make(batch); !planned) return planned.failure();
  logits_.clear();
  hidden_.clear();
  best_.clear();
  if (batch.empty()) return step_logits{};
  cut(batch);
  for (std::size_t round = 0; round + 1 < pieces_.size() + stages_.size(); ++round)
    if (status done = run_round(round); !done) return done.failure();
  ++counters_.steps;
  return step_logits{.values = logits_,
                     .rows = static_cast<std::uint32_t>(logits_.size() / shape_.vocabulary),
                     .hidden = hidden_,
                     .best = best_};
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the rows of this step",
               "lower batch_tokens_max or ask for fewer logits"};
}

std::vector<layer_range> share_layers(std::uint32_t layers, std::span<const std::uint64_t> room) {
  std::vector<layer_range> out;
  if (room.empty() || room.size() > layers) return out;
  const double all = std::accumulate(room.begin(), room.end(), 0.0);
  double before = 0;
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < room.size(); ++i) {
    before += static_cast<double>(room[i]);
    const double wanted = all > 0 ? layers * before / all : layers * (i + 1.0) / room.size();
    const auto left = static_cast<std::uint32_t>(room.size() - 1 - i);  // who need one each
    const std::uint32_t end =
        left == 0
            ? layers
            : std::clamp(static_cast<std::uint32_t>(std::lround(wanted)), first + 1, layers - left);
    out.push_back({first, end});
    first = end;
  }
  return out;
}

result<std::unique_ptr<engine>> make_split_engine(const std::shared_ptr<const model>& weights,
                                                  std::uint32_t batch_tokens_max,
                                                  std::vector<std::unique_ptr<stage>> stages) {
  std::uint32_t next = 0;
  for (const auto& one : stages) {
    if (one->layers().first != next)
      return error{error_code::invalid_argument,
                   "a stage begins at layer " + std::to_string(one->layers().first) +
                       " where the one before ended at " + std::to_string(next),
                   "give every layer to one stage, in order"};
    next = one->layers().end;
  }
  if (weights == nullptr || next != weights->shape.layers)
    return error{error_code::invalid_argument,
                 "the stages end at layer " + std::to_string(next) + " of " +
                     std::to_string(weights ? weights->shape.layers : 0),
                 "give every layer to one stage, in order"};
  return std::unique_ptr<engine>(
      std::make_unique<split_engine>(*weights, batch_tokens_max, std::move(stages)));
}

}  // namespace troupe::kernels
