// The loader core's part for models in parts: a file that a stage needs, this node's share of a
// model whose last layers other nodes compute, and loading it again when one of these comes back.
#include <algorithm>

#include "actors/back_off.hpp"
#include "actors/model_loader/loader_core.hpp"

namespace troupe {
namespace {

constexpr back_off retry_pauses{std::chrono::milliseconds(500), std::chrono::milliseconds(15'000)};

}  // namespace

void loader_core::queue(entry& e, waiter who, time_point_us now, effects& out) {
  if (who.request->load_model().file_only()) {
    e.files.push_back(std::move(who));
    if (e.facts)
      answer_files(e, out);
    else if (e.state != proto::FETCHING && !e.examining)
      examine(e, out);
    return;
  }
  e.loads.push_back(std::move(who));
  load(e, now, out);
}

// The file is whole and checked. Its path is for actors of this node alone.
void loader_core::answer_files(entry& e, effects& out) {
  for (const waiter& w : std::exchange(e.files, {})) {
    if (w.request->correlation() == 0) continue;
    auto reply = std::make_shared<proto::Envelope>(reply_to(*w.request));
    proto::ModelDescription& told = *reply->mutable_model_loaded()->mutable_model();
    told = describe(e);
    const proto::Address& asker = w.request->sender();
    if (asker.node() == settings_.node && asker.actor() == "stages")
      told.set_path(e.file.path.string());
    out.posts.push_back(std::move(reply));
  }
}

const model_split* loader_core::split_of(const entry& e) const {
  const auto found = std::find_if(settings_.splits.begin(), settings_.splits.end(),
                                  [&](const model_split& one) { return one.model == e.name; });
  return found == settings_.splits.end() ? nullptr : &*found;
}

kernels::memory_need loader_core::need_of(const entry& e) const {
  const model_split* split = split_of(e);
  if (split == nullptr) return e.facts->need;
  std::size_t here = e.facts->layers.size();
  for (const model_split::part& part : split->parts)
    here -= std::min<std::size_t>(here, part.layers);
  kernels::memory_need need;
  for (std::size_t i = 0; i < here; ++i) {
    need.weight_bytes += e.facts->layers[i].weight_bytes;
    need.kv_block_bytes += e.facts->layers[i].kv_block_bytes;
  }
  return need;
}

// Its sequences were told; it is loaded again by itself.
void loader_core::engine_lost(const proto::Envelope& message, time_point_us now, effects& out) {
  if (message.sender().node() != settings_.node || message.sender().actor() != "inference") return;
  entry* const e = find(message.engine_lost().model_digest());
  if (e == nullptr || e->state != proto::READY) return;
  const proto::Error& why = message.engine_lost().error();
  put_off(*e, {static_cast<error_code>(why.code()), why.message(), why.mend()}, now, out);
}

// Another node's part could not be had; it may come back.
void loader_core::put_off(entry& e, const error& why, time_point_us now, effects& out) {
  refuse_all(e.loads, why, out);
  e.state = proto::ON_DISK;
  e.weight_bytes = e.kv_bytes = 0;
  e.engine.Clear();
  e.failure = why.text();
  e.retry_at = now + retry_pauses.pause(++e.failed_loads, 0);
}

void loader_core::retry_loads(time_point_us now, effects& out) {
  for (auto& [name, e] : entries_) {
    if (!e->retry_at || *e->retry_at > now || e->state != proto::ON_DISK || !e->facts) continue;
    begin_load(*e, now, out);
    if (e->state == proto::ON_DISK) e->retry_at = now + retry_pauses.pause(++e->failed_loads, 0);
  }
}

}  // namespace troupe
