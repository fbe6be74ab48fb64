#include "kernels/backend/cuda/kv_copies_cuda.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::kernels::cuda {
result<std::unique_ptr<kv_copies>> kv_copies::make(cuda_kv& store, const stream& work) {
  std::unique_ptr<kv_copies> made(new kv_copies(store, work));
  auto copies = stream::make();
  if (!copies) return copies.failure();
  made->copies_ = std::move(*copies);
  auto computed = event::make(false);
  if (!computed) return computed.failure();
  made->computed_ = std::move(*computed);
  made->writers_wait_.resize(store.blocks());
  made->readers_wait_.resize(store.blocks());
  return made;
}

kv_copies::~kv_copies() {
  if (copies_ != nullptr) (void)wait_for_all();
}

template <class Copy>
result<kv_copy> kv_copies::start(block_id block, bool brings, Copy copy) {
  if (block >= store_.blocks())
    return error{error_code::invalid_argument,
                 "block " + std::to_string(block) + " is outside the store",
                 "0 to " + std::to_string(store_.blocks() - 1) + " are allowed"};
  if (status s = forget_passed(); !s) return s.failure();
  if (running_.size() >= running_max)
    return error{error_code::resource_exhausted,
                 std::to_string(running_.size()) + " copies of KV blocks are under way",
                 "wait for the first of them"};
  if (spare_.empty()) {
    auto fresh = event::make(false);
    if (!fresh) return fresh.failure();
    spare_.push_back(std::move(*fresh));
  }
  if (status s = computed_->record(work_); !s) return s.failure();
  if (status s = copies_->wait_for(*computed_); !s) return s.failure();
  if (status s = copy(*copies_); !s) return s.failure();
  if (status s = spare_.back()->record(*copies_); !s) return s.failure();
  running_.push_back({++last_, block, brings, std::move(spare_.back())});
  spare_.pop_back();
  return last_;
}

result<kv_copy> kv_copies::take_out(block_id block, std::uint8_t* host) {
  return start(block, false, [&](const stream& on) { return store_.copy_out(block, host, on); });
}

result<kv_copy> kv_copies::bring_in(block_id block, const std::uint8_t* host) {
  return start(block, true, [&](const stream& on) { return store_.copy_in(block, host, on); });
}

status kv_copies::forget_passed() {
  while (!running_.empty()) {
    const auto over = running_.front().done->passed();
    if (!over) return over.failure();
    if (!*over) return {};
    spare_.push_back(std::move(running_.front().done));
    running_.erase(running_.begin());
  }
  return {};
}

result<bool> kv_copies::passed(kv_copy copy) {
  if (status s = forget_passed(); !s) return s.failure();
  return running_.empty() || running_.front().id > copy;
}

status kv_copies::wait(kv_copy copy) {
  for (running_copy& one : running_)
    if (one.id == copy) return one.done->wait();
  return {};
}

result<std::size_t> kv_copies::running() {
  if (status s = forget_passed(); !s) return s.failure();
  return running_.size();
}

status kv_copies::wait_for_first() {
  return running_.empty() ? status{} : running_.front().done->wait();
}

status kv_copies::wait_for_all() {
  return copies_->wait("waiting for copies of KV blocks");
}

// They pass in order: the last that is met stands for all before it.
status kv_copies::hold_back(const step_plan& plan) {
  if (status s = forget_passed(); !s) return s;
  if (running_.empty()) return {};
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const auto mark = static_cast<std::uint8_t>(i + 1);
    writers_wait_[running_[i].block] = mark;
    if (running_[i].brings) readers_wait_[running_[i].block] = mark;
  }
  std::uint8_t last = 0;
  for (const planned_sequence& sequence : plan.sequences()) {
    const std::uint64_t written = sequence.position / kv_block_tokens;
    const std::uint64_t end = blocks_for(sequence.position + sequence.tokens);
    for (std::uint64_t i = 0; i < end; ++i)
      last = std::max(last, (i < written ? readers_wait_ : writers_wait_)[sequence.blocks[i]]);
  }
  for (const running_copy& one : running_) writers_wait_[one.block] = readers_wait_[one.block] = 0;
  return last == 0 ? status{} : work_.wait_for(*running_[last - 1].done);
}

}  // namespace troupe::kernels::cuda
