// The loader core's part that loads: room in the memory budget, the engine, the canary.
#include <algorithm>
#include <limits>

#include "actors/model_loader/loader_core.hpp"

namespace troupe {
namespace {

constexpr std::uint64_t kv_sequences_wanted = 4;
constexpr std::uint32_t kv_tokens_least = 1024;

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max()
                                                : product;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::uint64_t kv_bytes_for(const kernels::memory_need& need, std::uint64_t tokens) {
  return times(kernels::blocks_for(tokens), need.kv_block_bytes);
}

template <class Ids>
std::string listed(const Ids& ids) {
  std::string text;
  for (const auto id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

}  // namespace

void loader_core::load_model(const envelope_ptr& message, time_point_us now, effects& out) {
  const proto::LoadModel& wish = message->load_model();
  entry* e = find(wish.model());
  if (e != nullptr && e->state == proto::MODEL_FAILED && e->file.path.empty()) {
    entries_.erase(e->name);  // a fetch that failed: begin again
    e = nullptr;
  }
  if (e == nullptr) {
    if (lookups_.size() >= settings_.waiting_requests_max) {
      out.posts.push_back(
          refuse(*message, proto::Error::RESOURCE_EXHAUSTED,
                 std::to_string(lookups_.size()) + " models are being looked for already",
                 "try again later"));
      return;
    }
    const std::uint64_t id = ++next_id_;
    lookups_[id].who = waiting(message, now);
    out.commands.push_back(scan_files{});  // it may just have been put there
    return;
  }
  if (const std::size_t waiting = e->loads.size() + e->files.size();
      waiting >= settings_.waiting_requests_max) {
    out.posts.push_back(refuse(*message, proto::Error::RESOURCE_EXHAUSTED,
                               std::to_string(waiting) + " requests wait for this model already",
                               "try again later"));
    return;
  }
  for (int i = 0; i < std::min(wish.holders_size(), 16); ++i) {
    if (wish.holders(i) == settings_.node) continue;
    auto question = std::make_shared<proto::Envelope>();
    question->mutable_list_models();
    ask(std::move(question), {asked::about::canary, e->name, 0, {}, {}}, wish.holders(i),
        "model_loader", settings_.holder_wait, now, out);
  }
  queue(*e, waiting(message, now), now, out);
}

void loader_core::load(entry& e, time_point_us now, effects& out) {
  e.last_used = now;
  switch (e.state) {
    case proto::READY:
      for (const waiter& w : std::exchange(e.loads, {})) {
        if (w.request->correlation() == 0) continue;
        auto reply = std::make_shared<proto::Envelope>(reply_to(*w.request));
        *reply->mutable_model_loaded()->mutable_model() = describe(e);
        out.posts.push_back(std::move(reply));
      }
      return;
    case proto::FETCHING:
    case proto::LOADING:
      return;
    default:
      break;
  }
  if (e.examining) {
    e.load_wanted = true;
  } else if (!e.facts) {
    examine(e, out);
    e.load_wanted = true;
  } else {
    begin_load(e, now, out);
  }
}

std::uint64_t loader_core::memory_used() const {
  std::uint64_t used = 0;
  for (const auto& [name, e] : entries_) used += e->weight_bytes + e->kv_bytes;
  return used;
}

// Weights, and the least KV that is of use.
std::uint64_t loader_core::least_bytes(const entry& e) const {
  const kernels::memory_need need = need_of(e);
  const std::uint64_t context = std::max(1u, e.facts->context_tokens);
  return plus(need.weight_bytes,
              settings_.kv_bytes > 0
                  ? settings_.kv_bytes
                  : kv_bytes_for(need, std::min<std::uint64_t>(context, kv_tokens_least)));
}

error loader_core::too_large(const entry& e, std::uint64_t in_use) const {
  return {error_code::resource_exhausted,
          "model " + e.name + " needs " + std::to_string(least_bytes(e)) + " bytes (weights " +
              std::to_string(need_of(e).weight_bytes) + "); the budget is " +
              std::to_string(memory_max_) + ", of which " + std::to_string(in_use) +
              " are in use by models that are busy",
          "raise the node's memory budget, unload a model, take a smaller quantization, or give "
          "layers to another node (models.split)"};
}

// Which other models could go, least recently used first.
std::vector<loader_core::entry*> loader_core::idle_beside(const entry& e, time_point_us now) const {
  std::vector<entry*> idle;
  for (const auto& [name, other] : entries_) {
    if (other.get() == &e || other->state != proto::READY) continue;
    if (now - other->last_used < settings_.idle_after) continue;
    if (sequences_of_ && sequences_of_(other->digest) > 0) continue;
    idle.push_back(other.get());
  }
  std::sort(idle.begin(), idle.end(), [](const entry* a, const entry* b) {
    return std::pair{a->last_used, a->name} < std::pair{b->last_used, b->name};
  });
  return idle;
}

// Takes the model's share of the budget, unloading what is idle. Nothing is unloaded where that
// would not be enough.
std::optional<error> loader_core::make_room(entry& e, time_point_us now, effects& out) {
  const kernels::memory_need need = need_of(e);
  const std::uint64_t weights = need.weight_bytes;
  const std::uint64_t context = std::max(1u, e.facts->context_tokens);
  const std::uint64_t least = least_bytes(e);
  const std::vector<entry*> idle = idle_beside(e, now);
  std::uint64_t idle_bytes = 0;
  for (const entry* other : idle) idle_bytes += other->weight_bytes + other->kv_bytes;
  const std::uint64_t used = memory_used();
  if (plus(used - idle_bytes, least) > memory_max_) return too_large(e, used - idle_bytes);
  for (entry* other : idle) {
    if (plus(memory_used(), least) <= memory_max_) break;
    unload(*other, now, out);
  }
  const std::uint64_t wanted = settings_.kv_bytes > 0
                                   ? settings_.kv_bytes
                                   : kv_bytes_for(need, times(context, kv_sequences_wanted));
  const std::uint64_t left = memory_max_ - memory_used() - weights;
  e.weight_bytes = weights;
  e.kv_bytes = std::min(wanted, left);
  return std::nullopt;
}

void loader_core::begin_load(entry& e, time_point_us now, effects& out) {
  if (const auto full = make_room(e, now, out)) {
    refuse_all(e.loads, *full, out);
    e.failure = full->text();
    return;
  }
  e.state = proto::LOADING;
  e.failure.clear();
  e.retry_at.reset();
  auto message = std::make_shared<proto::Envelope>();
  proto::LoadEngine& wish = *message->mutable_load_engine();
  wish.set_model_digest(e.digest);
  wish.set_path(e.file.path.string());
  wish.set_weight_bytes_max(e.weight_bytes);
  wish.set_kv_bytes(e.kv_bytes);
  wish.set_name(e.name);
  if (const model_split* split = split_of(e))
    for (const model_split::part& part : split->parts) {
      proto::StagePart& to = *wish.add_stages();
      to.set_node(part.node);
      to.set_layers(part.layers);
    }
  // A model in parts may find another node full: what goes here makes no room there.
  const bool others_can_go =
      settings_.gpu_computes && split_of(e) == nullptr && !idle_beside(e, now).empty();
  wish.set_refuse_full_gpu(others_can_go);
  ask(std::move(message), {asked::about::load, e.name, others_can_go ? 1u : 0u, {}, {}},
      settings_.node, "inference", settings_.load_wait, now, out);
}

// The budget is the machine's; that a GPU is full, its engine alone can tell. One goes each time;
// where none is left to go, the engine may take the processor.
void loader_core::make_room_on_gpu(entry& e, time_point_us now, effects& out) {
  const std::vector<entry*> idle = idle_beside(e, now);
  if (!idle.empty()) unload(*idle.front(), now, out);
  e.state = proto::ON_DISK;
  begin_load(e, now, out);
}

void loader_core::engine_loaded(entry& e, const proto::EngineLoaded& loaded, time_point_us now,
                                effects& out) {
  if (const auto wrong = judge_canary(e, loaded, out)) {
    unload(e, now, out);
    fail(e, *wrong, out);
    return;
  }
  e.state = proto::READY;
  e.engine = loaded;
  e.failed_loads = 0;
  if (loaded.weight_bytes() > 0) e.weight_bytes = loaded.weight_bytes();
  if (loaded.kv_bytes() > 0) e.kv_bytes = loaded.kv_bytes();
  load(e, now, out);
}

std::optional<error> loader_core::judge_canary(const entry& e, const proto::EngineLoaded& loaded,
                                               effects& out) {
  if (loaded.canary_ids().empty()) return std::nullopt;
  const std::vector<std::int32_t> ids(loaded.canary_ids().begin(), loaded.canary_ids().end());
  const auto differs = [&](const std::vector<std::int32_t>& expected,
                           const std::string& who) -> std::optional<error> {
    // Nodes may run canaries of different length: what both have must agree.
    const std::size_t both = std::min(expected.size(), ids.size());
    if (std::equal(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(both), expected.begin()))
      return std::nullopt;
    return error{error_code::data_corrupt,
                 "canary of model " + e.name + " (" + e.digest.substr(0, 12) + ", class " +
                     loaded.numerics_class() + ", variant " + loaded.variant() + "): got " +
                     listed(ids) + ", but " + who + " had " + listed(expected),
                 "this build or this machine computes differently: try another variant, check its "
                 "memory, and "
                 "compare versions; if an older build of this node was wrong, delete the loader's "
                 "state file"};
  };
  if (const auto* before = memory_.canary(e.digest, loaded.numerics_class()))
    if (auto wrong = differs(*before, "this node earlier")) return wrong;
  const auto peers = peer_canaries_.find({e.digest, loaded.numerics_class()});
  if (peers != peer_canaries_.end())
    for (const auto& [node, theirs] : peers->second)
      if (auto wrong = differs(theirs, "node " + node)) return wrong;
  if (memory_.canary(e.digest, loaded.numerics_class()) == nullptr) {
    memory_.remember_canary(e.digest, loaded.numerics_class(), ids);
    save(out);
  }
  return std::nullopt;
}

void loader_core::compare_canary(const proto::ModelDescription& theirs, const std::string& node,
                                 time_point_us now, effects& out) {
  if (theirs.canary_ids().empty() || !is_digest(theirs.digest()) || peer_canaries_.size() > 1024)
    return;
  auto& known = peer_canaries_[{theirs.digest(), theirs.numerics_class()}];
  if (known.size() > 256) return;
  known[node].assign(theirs.canary_ids().begin(), theirs.canary_ids().end());
  entry* const e = find(theirs.digest());
  if (e == nullptr || e->state != proto::READY ||
      e->engine.numerics_class() != theirs.numerics_class())
    return;
  if (const auto wrong = judge_canary(*e, proto::EngineLoaded{e->engine}, out)) {
    unload(*e, now, out);
    fail(*e, *wrong, out);
  }
}

void loader_core::unload(entry& e, time_point_us now, effects& out) {
  e.state = proto::ON_DISK;
  e.weight_bytes = e.kv_bytes = 0;
  e.engine.Clear();
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_unload_engine()->set_model_digest(e.digest);
  ask(std::move(message), {asked::about::unload, e.name, 0, {}, {}}, settings_.node, "inference",
      settings_.holder_wait, now, out);
}

void loader_core::unload_model(const envelope_ptr& message, time_point_us now, effects& out) {
  entry* const e = find(message->unload_model().model());
  if (e == nullptr) {
    const error why = unknown_model(message->unload_model().model());
    out.posts.push_back(refuse(*message, proto::Error::NOT_FOUND, why.message, why.mend));
    return;
  }
  if (e->state == proto::FETCHING || e->state == proto::LOADING) {
    out.posts.push_back(refuse(*message, proto::Error::UNAVAILABLE,
                               "model " + e->name + " is on its way",
                               "try again when it is ready"));
    return;
  }
  if (e->state == proto::READY) unload(*e, now, out);
  e->retry_at.reset();
  auto reply = std::make_shared<proto::Envelope>(reply_to(*message));
  reply->mutable_model_unloaded()->set_digest(e->digest);
  out.posts.push_back(std::move(reply));
}

loader_core::effects loader_core::inference_restarted(time_point_us now) {
  effects out;
  std::erase_if(asked_, [](const auto& at) {
    return at.second.what == asked::about::load || at.second.what == asked::about::unload;
  });
  std::vector<entry*> again;
  for (auto& [name, e] : entries_) {
    const bool loaded = e->state == proto::READY || e->state == proto::LOADING;
    if (!loaded && !(e->state == proto::ON_DISK && e->load_wanted && e->facts)) continue;
    e->state = proto::ON_DISK;
    e->weight_bytes = e->kv_bytes = 0;
    e->load_wanted = false;
    e->engine.Clear();
    again.push_back(e.get());
  }
  for (entry* e : again) begin_load(*e, now, out);
  return with_news(std::move(out));
}

}  // namespace troupe
