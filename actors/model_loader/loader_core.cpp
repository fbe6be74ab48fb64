#include "actors/model_loader/loader_core.hpp"

#include <algorithm>

namespace troupe {
namespace {

constexpr time_point_us scan_every{10'000'000};

}  // namespace

loader_core::loader_core(const loader_settings& settings, std::uint64_t machine_memory_bytes,
                         loader_memory memory, usage sequences_of)
    : settings_(settings),
      memory_max_(settings.memory_bytes_max > 0 ? settings.memory_bytes_max
                                                : machine_memory_bytes / 2),
      memory_(std::move(memory)),
      sequences_of_(std::move(sequences_of)) {}

loader_core::effects loader_core::begin(time_point_us now) {
  effects out;
  out.commands.push_back(scan_files{});
  next_scan_ = now + scan_every;
  for (const std::string& model : settings_.load_at_start) {
    auto message = std::make_shared<proto::Envelope>();  // nobody waits for its reply
    message->mutable_load_model()->set_model(model);
    lookups_[++next_id_].who = {std::move(message), std::nullopt};
  }
  return out;
}

loader_core::effects loader_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  switch (message->payload_case()) {
    case proto::Envelope::kListModels:
      list_models(message, now, out);
      break;
    case proto::Envelope::kLoadModel:
      load_model(message, now, out);
      break;
    case proto::Envelope::kEngineLost:
      engine_lost(*message, now, out);
      break;
    case proto::Envelope::kUnloadModel:
      unload_model(message, now, out);
      break;
    case proto::Envelope::kPreparePrompt:
      prepare_prompt(message, now, out);
      return out;
    case proto::Envelope::kReadModelBytes:
      read_model_bytes(message, out);
      return out;
    case proto::Envelope::kModelList:
    case proto::Envelope::kModelBytes:
    case proto::Envelope::kEngineLoaded:
    case proto::Envelope::kEngineUnloaded:
    case proto::Envelope::kError:
      reply_arrived(*message, now, out);
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                                   "model_loader does not take payload number " +
                                       std::to_string(message->payload_case())));
  }
  return with_news(std::move(out));
}

loader_core::effects loader_core::absorb(const loader_report& report, time_point_us now) {
  effects out;
  if (const auto* r = std::get_if<files_scanned>(&report)) scanned(*r, now, out);
  if (const auto* r = std::get_if<file_examined>(&report)) examined(*r, now, out);
  if (const auto* r = std::get_if<partial_opened>(&report)) partial_ready(*r, now, out);
  if (const auto* r = std::get_if<partial_written>(&report)) partial_grew(*r, now, out);
  if (const auto* r = std::get_if<partial_finished>(&report)) partial_done(*r, now, out);
  return with_news(std::move(out));
}

// ---- what is known ----

loader_core::entry* loader_core::find(const std::string& wish) {
  if (const auto found = entries_.find(wish); found != entries_.end()) return found->second.get();
  if (!is_digest(wish)) return nullptr;
  for (const auto& [name, e] : entries_)
    if (e->digest == wish) return e.get();
  return nullptr;
}

std::string loader_core::name_for(const found_file& file) const {
  const std::string stem = file.alias.empty() ? file.path.stem().string() : file.alias;
  std::string name = stem;
  for (int number = 2; entries_.contains(name); ++number)
    name = stem + "-" + std::to_string(number);
  return name;
}

error loader_core::unknown_model(const std::string& wish) const {
  std::string known;
  std::size_t listed = 0;
  for (const auto& [name, e] : entries_) {
    if (++listed > 32) break;
    known += (known.empty() ? "" : ", ") + name;
  }
  return {error_code::not_found,
          "no model \"" + wish.substr(0, 128) + "\" on node " + settings_.node,
          known.empty() ? "this node has no models: put a .gguf file into its model directory"
                        : "known here: " + known + (listed > 32 ? ", ..." : "")};
}

proto::ModelDescription loader_core::describe(const entry& e) const {
  proto::ModelDescription to;
  to.set_name(e.name);
  to.set_digest(e.digest);
  to.set_size_bytes(e.fetch ? e.fetch->size_bytes() : e.file.size_bytes);
  to.set_state(e.state);
  to.set_failure(e.failure);
  if (e.fetch) to.set_fetched_bytes(e.fetch->held());
  if (e.facts) {
    to.set_tokenizer_digest(e.facts->words->digest());
    to.set_context_tokens(e.facts->context_tokens);
    to.set_architecture(e.facts->architecture);
    to.set_quantization(e.facts->quantization);
    to.set_parameters(e.facts->parameters);
    to.set_has_chat_template(e.facts->chat.has_template);
    to.set_chat_template_failure(e.facts->chat.failure);
  }
  if (const model_split* split = split_of(e))
    for (const model_split::part& part : split->parts) {
      proto::StagePart& told = *to.add_stages();
      told.set_node(part.node);
      told.set_layers(part.layers);
    }
  if (e.state == proto::ON_DISK && e.retry_at) {
    to.set_load_refusal(proto::WAITS_FOR_NODE);
  } else if (e.state == proto::ON_DISK && e.facts && least_bytes(e) > memory_max_) {
    to.set_load_refusal(proto::TOO_LARGE);
    to.set_failure(too_large(e, 0).text());
  }
  if (e.state == proto::READY) {
    to.set_engine(e.engine.engine());
    to.set_numerics_class(e.engine.numerics_class());
    to.set_variant(e.engine.variant());
    to.set_weight_bytes(e.engine.weight_bytes());
    to.set_kv_bytes(e.engine.kv_bytes());
    to.set_context_tokens(e.engine.context_tokens());
    *to.mutable_canary_ids() = e.engine.canary_ids();
  }
  return to;
}

// An empty list would say that there are no models, where none was looked for yet.
void loader_core::list_models(const envelope_ptr& message, time_point_us now, effects& out) {
  if (!scanned_once_ && early_requests_.size() < settings_.waiting_requests_max) {
    early_requests_.push_back(waiting(message, now));
    return;
  }
  auto reply = std::make_shared<proto::Envelope>(reply_to(*message));
  *reply->mutable_model_list() = list();
  const proto::Address& asker = message->sender();
  if (asker.actor() == "node" && asker.node() == settings_.node) {
    watcher_ = asker;
    told_ = list_told();
  }
  out.posts.push_back(std::move(reply));
}

std::string loader_core::list_told() const {
  proto::ModelList all = list();
  for (proto::ModelDescription& one : *all.mutable_models()) one.clear_fetched_bytes();
  return all.SerializeAsString();
}

// What a node routes by should not wait until it asks again.
loader_core::effects loader_core::with_news(effects out) {
  if (watcher_.actor().empty()) return out;
  std::string now = list_told();
  if (now == told_) return out;
  told_ = std::move(now);
  auto news = std::make_shared<proto::Envelope>();
  news->mutable_sender()->set_node(settings_.node);
  news->mutable_sender()->set_actor("model_loader");
  *news->mutable_target() = watcher_;
  *news->mutable_model_list() = list();
  out.posts.push_back(std::move(news));
  return out;
}

proto::ModelList loader_core::list() const {
  proto::ModelList list;
  for (const auto& [name, e] : entries_) *list.add_models() = describe(*e);
  return list;
}

void loader_core::scanned(const files_scanned& report, time_point_us now, effects& out) {
  std::set<std::string> seen;
  for (const found_file& file : report.files) {
    seen.insert(file.path.string());
    const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const auto& at) {
      return at.second->file.path == file.path;
    });
    if (known == entries_.end()) {
      auto fresh = std::make_unique<entry>();
      fresh->name = name_for(file);
      fresh->file = file;
      entry& e = *fresh;
      entries_.emplace(e.name, std::move(fresh));
      examine(e, out);
      continue;
    }
    entry& e = *known->second;
    const bool changed =
        e.file.size_bytes != file.size_bytes || e.file.modified_ns != file.modified_ns;
    if (changed && !e.examining && (e.state == proto::ON_DISK || e.state == proto::MODEL_FAILED)) {
      e.file.size_bytes = file.size_bytes;
      e.file.modified_ns = file.modified_ns;
      examine(e, out);
    }
  }
  for (auto at = entries_.begin(); at != entries_.end();) {
    entry& e = *at->second;
    const bool gone = !e.file.path.empty() && !seen.contains(e.file.path.string()) &&
                      !e.examining && (e.state == proto::ON_DISK || e.state == proto::MODEL_FAILED);
    const error why{error_code::not_found, "the file of model " + e.name + " is gone", {}};
    if (gone)
      for (std::vector<waiter>* who : {&e.loads, &e.prompts, &e.files}) refuse_all(*who, why, out);
    at = gone ? entries_.erase(at) : std::next(at);
  }
  scanned_once_ = true;
  for (auto& [id, at] : lookups_) at.scanned = true;
  resolve_lookups(now, out);
  for (const waiter& early : std::exchange(early_requests_, {}))
    early.request->has_list_models() ? list_models(early.request, now, out)
                                     : prepare_prompt(early.request, now, out);
}

void loader_core::examine(entry& e, effects& out) {
  e.examining = true;
  e.state = proto::ON_DISK;
  e.failure.clear();
  e.facts.reset();
  const auto known = memory_.digest_of(e.file.path.string(), e.file.size_bytes, e.file.modified_ns);
  e.digest = known.value_or("");
  out.commands.push_back(
      examine_file{e.file.path, e.file.size_bytes, e.file.modified_ns, e.digest});
}

void loader_core::examined(const file_examined& report, time_point_us now, effects& out) {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const auto& other) {
    return other.second->file.path == report.path && other.second->examining;
  });
  if (at == entries_.end()) return;
  entry& e = *at->second;
  e.examining = false;
  if (!report.facts) {
    fail(e, report.facts.failure(), out);
    resolve_lookups(now, out);
    return;
  }
  e.facts = *report.facts;
  e.digest = e.facts->digest;
  if (!memory_.digest_of(report.path.string(), report.size_bytes, report.modified_ns)) {
    memory_.remember_digest(report.path.string(), report.size_bytes, report.modified_ns, e.digest);
    save(out);
  }
  for (const waiter& w : std::exchange(e.prompts, {})) answer_prompt(e, *w.request, out);
  answer_files(e, out);
  if (std::exchange(e.load_wanted, false)) begin_load(e, now, out);
  resolve_lookups(now, out);
}

// ---- waiting ----

loader_core::waiter loader_core::waiting(const envelope_ptr& message, time_point_us now) const {
  waiter w{message, std::nullopt};
  if (message->deadline_ms() > 0)
    w.expires = now + std::chrono::milliseconds{message->deadline_ms()};
  return w;
}

void loader_core::refuse_all(std::vector<waiter>& who, const error& why, effects& out) {
  for (const waiter& w : std::exchange(who, {}))
    if (w.request->correlation() != 0) out.posts.push_back(refuse(*w.request, why));
}

void loader_core::fail(entry& e, const error& why, effects& out) {
  e.state = proto::MODEL_FAILED;
  e.failure = why.text();
  e.weight_bytes = e.kv_bytes = 0;
  e.load_wanted = false;
  e.fetch.reset();
  e.engine.Clear();
  for (std::vector<waiter>* who : {&e.loads, &e.prompts, &e.files}) refuse_all(*who, why, out);
}

void loader_core::expire(time_point_us now, effects& out) {
  const error late{error_code::deadline_exceeded,
                   "the request's deadline passed while the model was not ready",
                   {}};
  const auto sift = [&](std::vector<waiter>& who) {
    std::vector<waiter> over;
    std::erase_if(who, [&](const waiter& w) {
      if (!w.expires || *w.expires > now) return false;
      over.push_back(w);
      return true;
    });
    refuse_all(over, late, out);
  };
  for (auto& [name, e] : entries_) {
    for (std::vector<waiter>* who : {&e->loads, &e->prompts, &e->files}) sift(*who);
  }
  sift(early_requests_);
  std::erase_if(lookups_, [&](const auto& at) {
    const waiter& w = at.second.who;
    if (!w.expires || *w.expires > now) return false;
    out.posts.push_back(refuse(*w.request, late));
    return true;
  });
}

loader_core::effects loader_core::tick(time_point_us now) {
  effects out;
  expire(now, out);
  retry_loads(now, out);
  std::vector<asked> late;
  std::erase_if(asked_, [&](const auto& at) {
    if (at.second.expires > now) return false;
    late.push_back(at.second);
    return true;
  });
  for (const asked& request : late)
    request_failed(
        request,
        {error_code::deadline_exceeded, "node " + request.node + " did not answer in time", {}},
        now, out);
  if (now >= next_scan_) {
    out.commands.push_back(scan_files{});
    next_scan_ = now + scan_every;
  }
  return with_news(std::move(out));
}

}  // namespace troupe
