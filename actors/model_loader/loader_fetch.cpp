// The loader core's part that asks other nodes: who has a model, its bytes, and replies to what
// this loader asked.
#include <algorithm>

#include "actors/model_loader/loader_core.hpp"

namespace troupe {
namespace {

constexpr std::uint64_t model_bytes_max = std::uint64_t{1} << 42;

}  // namespace

std::uint64_t loader_core::ask(std::shared_ptr<proto::Envelope> message, asked about,
                               std::string node, std::string actor, std::chrono::milliseconds wait,
                               time_point_us now, effects& out) {
  // Begins at the clock so that a reply to an earlier life of this actor matches nothing.
  last_correlation_ = std::max(last_correlation_, static_cast<std::uint64_t>(now.count()) << 8) + 1;
  about.node = node;
  about.expires = now + wait;
  message->mutable_sender()->set_node(settings_.node);
  message->mutable_sender()->set_actor("model_loader");
  message->mutable_target()->set_node(std::move(node));
  message->mutable_target()->set_actor(std::move(actor));
  message->set_correlation(last_correlation_);
  message->set_deadline_ms(static_cast<std::uint32_t>(wait.count()));
  asked_[last_correlation_] = std::move(about);
  out.posts.push_back(std::move(message));
  return last_correlation_;
}

void loader_core::reply_arrived(const proto::Envelope& message, time_point_us now, effects& out) {
  const auto found = asked_.find(message.correlation());
  if (found == asked_.end()) return;  // too late: the time-out has spoken
  const asked request = found->second;
  asked_.erase(found);
  if (message.has_error()) {
    request_failed(request,
                   {static_cast<error_code>(message.error().code()), message.error().message(),
                    message.error().mend()},
                   now, out);
    return;
  }
  if (message.has_model_list()) {
    for (const proto::ModelDescription& model : message.model_list().models())
      compare_canary(model, request.node, now, out);
    const auto at = lookups_.find(request.id);
    if (request.what != asked::about::lookup || at == lookups_.end()) return;
    lookup& here = at->second;
    if (here.replies_open > 0) --here.replies_open;
    const std::string& wish = here.who.request->load_model().model();
    for (const proto::ModelDescription& model : message.model_list().models()) {
      const bool whole = model.state() == proto::ON_DISK || model.state() == proto::LOADING ||
                         model.state() == proto::READY;
      if ((model.name() != wish && model.digest() != wish) || !whole || !is_digest(model.digest()))
        continue;
      if (model.size_bytes() == 0 || model.size_bytes() > model_bytes_max) continue;
      here.found = model;
      here.holder = request.node;
    }
    resolve_lookup(request.id, now, out);
    return;
  }
  const auto at = entries_.find(request.name);
  if (at == entries_.end()) return;
  entry& e = *at->second;
  if (request.what == asked::about::load && message.has_engine_loaded() &&
      e.state == proto::LOADING) {
    engine_loaded(e, message.engine_loaded(), now, out);
  } else if (request.what == asked::about::piece && message.has_model_bytes() && e.fetch) {
    if (message.model_bytes().offset() == request.id) {
      go_on(e, e.fetch->received(message.model_bytes()), now, out);
    } else {
      go_on(
          e,
          e.fetch->missed(request.id,
                          {error_code::data_corrupt, "another piece came than was asked for", {}}),
          now, out);
    }
  }
}

void loader_core::request_failed(const asked& request, const error& why, time_point_us now,
                                 effects& out) {
  if (request.what == asked::about::lookup) {
    const auto at = lookups_.find(request.id);
    if (at == lookups_.end()) return;
    if (at->second.replies_open > 0) --at->second.replies_open;
    resolve_lookup(request.id, now, out);
    return;
  }
  const auto at = entries_.find(request.name);
  if (at == entries_.end()) return;
  entry& e = *at->second;
  if (request.what == asked::about::piece && e.fetch) {
    go_on(e,
          e.fetch->missed(request.id,
                          {why.code, "from node " + request.node + ": " + why.message, {}}),
          now, out);
  } else if (request.what == asked::about::load && e.state == proto::LOADING) {
    const bool gpu_is_full = request.id == 1 && why.code == error_code::resource_exhausted;
    if (gpu_is_full) return make_room_on_gpu(e, now, out);
    const bool never = why.code == error_code::invalid_argument ||
                       why.code == error_code::unsupported || why.code == error_code::data_corrupt;
    if (split_of(e) != nullptr && !never) return put_off(e, why, now, out);
    fail(e, why, out);
    if (why.code != error_code::unavailable) return;
    e.state = proto::ON_DISK;  // the inference actor is away: its restart loads it
    e.load_wanted = true;
  }
}

void loader_core::resolve_lookups(time_point_us now, effects& out) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, at] : lookups_) ids.push_back(id);
  for (const std::uint64_t id : ids) resolve_lookup(id, now, out);
}

void loader_core::resolve_lookup(std::uint64_t id, time_point_us now, effects& out) {
  const auto at = lookups_.find(id);
  if (at == lookups_.end() || !at->second.scanned) return;
  lookup& here = at->second;
  const std::string wish = here.who.request->load_model().model();
  if (entry* const e = find(wish)) {
    const waiter who = here.who;
    lookups_.erase(at);
    queue(*e, who, now, out);
    return;
  }
  const bool hashing = std::any_of(entries_.begin(), entries_.end(),
                                   [](const auto& other) { return other.second->examining; });
  if (is_digest(wish) && hashing) return;
  if (!here.asked) {
    here.asked = true;
    ask_holders(id, here, now, out);
  }
  if (here.found) {
    lookup done = std::move(here);
    lookups_.erase(at);
    begin_fetch(std::move(done), now, out);
  } else if (here.replies_open == 0) {
    if (here.who.request->correlation() != 0)
      out.posts.push_back(refuse(*here.who.request, unknown_model(wish)));
    lookups_.erase(at);
  }
}

void loader_core::ask_holders(std::uint64_t id, lookup& at, time_point_us now, effects& out) {
  if (!settings_.fetch) return;
  const proto::LoadModel& wish = at.who.request->load_model();
  for (int i = 0; i < std::min(wish.holders_size(), 16); ++i) {
    if (wish.holders(i) == settings_.node) continue;
    auto question = std::make_shared<proto::Envelope>();
    question->mutable_list_models();
    ++at.replies_open;
    ask(std::move(question), {asked::about::lookup, {}, id, {}, {}}, wish.holders(i),
        "model_loader", settings_.holder_wait, now, out);
  }
}

void loader_core::begin_fetch(lookup from, time_point_us now, effects& out) {
  const proto::ModelDescription& what = *from.found;
  if (entry* const known = find(what.digest())) {  // here under another name, or already on its way
    queue(*known, from.who, now, out);
    return;
  }
  std::string name = is_safe_name(what.name()) ? what.name() : what.digest();
  if (entries_.contains(name)) name += "-" + what.digest().substr(0, 8);
  if (entries_.contains(name) || !is_safe_name(name)) name = what.digest();
  std::vector<std::string> holders{from.holder};
  const proto::LoadModel& wish = from.who.request->load_model();
  for (int i = 0; i < std::min(wish.holders_size(), 16); ++i)
    if (wish.holders(i) != from.holder && wish.holders(i) != settings_.node)
      holders.push_back(wish.holders(i));
  auto fresh = std::make_unique<entry>();
  fresh->name = name;
  fresh->digest = what.digest();
  fresh->state = proto::FETCHING;
  (wish.file_only() ? fresh->files : fresh->loads).push_back(from.who);
  fresh->fetch = std::make_unique<model_fetch>(settings_, what.digest(), what.size_bytes(),
                                               std::move(holders));
  const bool resume = memory_.partial(name) == what.digest();
  if (!resume) {
    memory_.remember_partial(name, what.digest());
    save(out);
  }
  out.commands.push_back(open_partial{name, what.size_bytes(), resume});
  entries_[name] = std::move(fresh);
}

void loader_core::go_on(entry& e, model_fetch::effects steps, time_point_us now, effects& out) {
  for (const model_fetch::piece& piece : steps.asks) {
    auto message = std::make_shared<proto::Envelope>();
    proto::ReadModelBytes& wish = *message->mutable_read_model_bytes();
    wish.set_digest(e.digest);
    wish.set_offset(piece.offset);
    wish.set_length(piece.length);
    ask(std::move(message), {asked::about::piece, e.name, piece.offset, {}, {}}, piece.holder,
        "model_loader", settings_.piece_wait, now, out);
  }
  if (steps.writes)
    out.commands.push_back(
        write_partial{e.name, steps.writes->offset, std::move(steps.writes->bytes)});
  if (steps.complete) out.commands.push_back(finish_partial{e.name, e.digest});
  if (steps.failed) fail(e, *steps.failed, out);
}

void loader_core::partial_ready(const partial_opened& report, time_point_us now, effects& out) {
  const auto at = entries_.find(report.name);
  if (at == entries_.end() || !at->second->fetch) return;
  if (!report.held) return fail(*at->second, report.held.failure(), out);
  go_on(*at->second, at->second->fetch->opened(*report.held), now, out);
}

void loader_core::partial_grew(const partial_written& report, time_point_us now, effects& out) {
  const auto at = entries_.find(report.name);
  if (at == entries_.end() || !at->second->fetch) return;
  if (!report.held) return fail(*at->second, report.held.failure(), out);
  go_on(*at->second, at->second->fetch->written(*report.held), now, out);
}

void loader_core::partial_done(const partial_finished& report, time_point_us now, effects& out) {
  const auto at = entries_.find(report.name);
  if (at == entries_.end() || !at->second->fetch || at->second->digest != report.digest) return;
  entry& e = *at->second;
  memory_.forget_partial(e.name);
  if (!report.file) {
    save(out);
    return fail(e, report.file.failure(), out);
  }
  e.fetch.reset();
  e.file = *report.file;
  memory_.remember_digest(e.file.path.string(), e.file.size_bytes, e.file.modified_ns,
                          report.digest);
  save(out);
  examine(e, out);
  e.load_wanted = !e.loads.empty();
  e.last_used = now;
}

loader_core::effects loader_core::lose_node(const std::string& node, time_point_us now) {
  effects out;
  std::vector<asked> lost;
  std::erase_if(asked_, [&](const auto& at) {
    if (at.second.node != node) return false;
    lost.push_back(at.second);
    return true;
  });
  for (const asked& request : lost)
    request_failed(request, {error_code::unavailable, "node " + node + " is down", {}}, now, out);
  for (auto& [key, nodes] : peer_canaries_) nodes.erase(node);
  return with_news(std::move(out));
}

}  // namespace troupe
