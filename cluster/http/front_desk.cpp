#include "cluster/http/front_desk.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "cluster/http/inbox.hpp"

namespace troupe::http {
namespace {

constexpr milliseconds status_fresh{200};

std::int64_t unix_now_s() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

}  // namespace

front_desk::front_desk(http_settings settings, http_outside outside, std::optional<key_file> keys,
                       std::unique_ptr<job_keeper> keeper)
    : settings_(std::move(settings)),
      outside_(std::move(outside)),
      started_s_(unix_now_s()),
      book_({settings_.node, settings_.jobs_kept, settings_.jobs_running_max, keeper != nullptr}),
      keeper_(std::move(keeper)) {
  if (keys)
    keys_.emplace(settings_.api_key_file, *std::move(keys),
                  [this](const key_change& change) { keys_changed(change); });
  if (!keeper_) return;
  book_.recover(keeper_->take_records());
  keeper_->begin([this](const journal::journal_news& news) { hear(news); });
  carry_out_book();
}

front_desk::~front_desk() = default;

void front_desk::keys_changed(const key_change& change) {
  audit::event told{"daemon", "api_keys", "done", {{"file", settings_.api_key_file}}};
  if (change.failure) {
    spdlog::error("api_keys_kept reason=\"{}\"", change.failure->text());
    told.outcome = "failed";
    told.about.emplace_back("reason", change.failure->message);
  } else {
    spdlog::info("api_keys_changed added={} removed={} altered={}", joined(change.added),
                 joined(change.removed), joined(change.altered));
    told.about.emplace_back("added", joined(change.added));
    told.about.emplace_back("removed", joined(change.removed));
    told.about.emplace_back("altered", joined(change.altered));
  }
  if (outside_.audit) outside_.audit->write(std::move(told));
}

void front_desk::audit(const caller& who, std::string what, std::string outcome,
                       std::vector<std::pair<std::string, std::string>> about) {
  if (!outside_.audit) return;
  outside_.audit->write({who.key.empty() ? "http:" + who.client : "key:" + who.key, std::move(what),
                         std::move(outcome), std::move(about)});
}

request_limits front_desk::limits() const {
  request_limits out;
  out.tokens_max = settings_.tokens_max;
  return out;
}

std::string front_desk::open_session(std::shared_ptr<inbox> reader) {
  const std::lock_guard lock{guard_};
  std::string name = std::string(session_prefix) + std::to_string(next_session_++);
  sessions_[name] = std::move(reader);
  return name;
}

void front_desk::close_session(const std::string& session, bool tell_gateway) {
  {
    const std::lock_guard lock{guard_};
    sessions_.erase(session);
  }
  if (tell_gateway) outside_.session_gone(session);
}

void front_desk::post(proto::Envelope message) {
  outside_.office->post(std::make_shared<const proto::Envelope>(std::move(message)));
}

void front_desk::deliver(const envelope_ptr& message) {
  const std::string& session = message->target().node();
  if (session.starts_with(job_session_prefix)) {
    {
      const std::lock_guard lock{book_guard_};
      book_.take(*message);
    }
    return carry_out_book();
  }
  std::shared_ptr<inbox> reader;
  {
    const std::lock_guard lock{guard_};
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;  // it has just ended
    reader = found->second;
  }
  reader->push(message);
}

void front_desk::gateway_restarted() {
  auto lost = std::make_shared<proto::Envelope>();
  lost->mutable_error()->set_code(proto::Error::UNAVAILABLE);
  lost->mutable_error()->set_message("the gateway of node " + settings_.node +
                                     " was started again");
  lost->mutable_error()->set_mend("send the request again");
  std::vector<std::shared_ptr<inbox>> readers;
  {
    const std::lock_guard lock{guard_};
    for (const auto& [name, reader] : sessions_) readers.push_back(reader);
  }
  for (const auto& reader : readers) reader->push(lost);
  {
    const std::lock_guard lock{book_guard_};
    book_.gateway_restarted();
  }
  carry_out_book();
}

std::variant<caller, api_error> front_desk::recognise(const http_request& request, const route* to,
                                                      const std::string& address) {
  const std::shared_ptr<const key_list> keys = keys_ ? keys_->now() : nullptr;
  auto judged = admitted(request, to, address, keys.get());
  if (auto* who = std::get_if<caller>(&judged)) return std::move(*who);
  refused& no = std::get<refused>(judged);
  count(no.reason);
  if (outside_.audit && to && to->needs.privileged()) {
    std::optional<std::uint64_t> left_out;
    {
      const std::lock_guard lock{guard_};
      left_out = refusals_told_.admit(std::chrono::steady_clock::now());
    }
    const auto reason = refusal_names[static_cast<std::size_t>(no.reason)];
    if (left_out)
      outside_.audit->write({no.who,
                             "request",
                             "refused",
                             {{"method", request.method},
                              {"path", request.path},
                              {"reason", std::string(reason)},
                              {"left_out_before", std::to_string(*left_out)}}});
  }
  return std::move(no.why);
}

std::optional<api_error> front_desk::admit(const std::string& client) {
  const std::lock_guard lock{guard_};
  if (draining_) {
    count(refusal_reason::draining);
    return api_error_of(error_code::unavailable, "node " + settings_.node + " stops",
                        "ask another node");
  }
  const auto own = requests_of_.find(client);
  const bool full = requests_ >= settings_.requests_max;
  if (full || (own != requests_of_.end() && own->second >= settings_.requests_per_client_max)) {
    count(full ? refusal_reason::queue_full : refusal_reason::client_full);
    return api_error_of(
        error_code::resource_exhausted,
        full ? std::to_string(settings_.requests_max) + " requests are being answered"
             : "client " + client + " has " + std::to_string(own->second) + " requests under way",
        std::string("try again later, or raise http.") +
            (full ? "requests_max" : "requests_per_client_max"));
  }
  ++requests_;
  ++requests_of_[client];
  return std::nullopt;
}

void front_desk::enter(const std::string& client) {
  const std::lock_guard lock{guard_};
  ++requests_;
  ++requests_of_[client];
}

void front_desk::leave(const std::string& client) {
  const std::lock_guard lock{guard_};
  --requests_;
  if (const auto own = requests_of_.find(client); own != requests_of_.end() && --own->second == 0)
    requests_of_.erase(own);
}

// Posts what the book decided, and wakes who reads jobs.
void front_desk::carry_out_book() {
  std::vector<proto::Envelope> messages;
  std::vector<std::string> ended;
  std::vector<std::shared_ptr<inbox>> watchers;
  {
    const std::lock_guard lock{book_guard_};
    if (keeper_) keeper_->write(book_.take_batch());
    messages = book_.take_messages();
    ended = book_.take_ended_sessions();
    std::erase_if(job_watchers_, [](const auto& watcher) { return watcher.expired(); });
    for (const auto& watcher : job_watchers_)
      if (auto alive = watcher.lock()) watchers.push_back(std::move(alive));
  }
  for (const std::string& session : ended) outside_.session_gone(session);
  for (proto::Envelope& message : messages) post(std::move(message));
  for (const auto& watcher : watchers) watcher->wake();
}

std::variant<job_book::submitted, api_error> front_desk::submit_job(const job_wish& wish) {
  std::variant<job_book::submitted, api_error> out;
  {
    const std::lock_guard lock{book_guard_};
    out = book_.submit(wish, unix_now_s());
  }
  carry_out_book();
  return out;
}

void front_desk::hear(const journal::journal_news& news) {
  {
    const std::lock_guard lock{book_guard_};
    if (news.failure) {
      spdlog::error("http_jobs_failed reason=\"{}\"", news.failure->text());
      book_.journal_failed(*news.failure);
    } else {
      if (news.position > 0) book_.durable(news.position);
      if (news.too_large) book_.rewrite_journal();
    }
  }
  carry_out_book();
}

void front_desk::begin_jobs() {
  {
    const std::lock_guard lock{book_guard_};
    book_.begin();
  }
  carry_out_book();
}

void front_desk::drain() {
  draining_ = true;
  const std::lock_guard lock{book_guard_};
  book_.stop();
}

bool front_desk::is_being_written(const std::string& id) const {
  const std::lock_guard lock{book_guard_};
  return book_.is_being_written(id);
}

api_error front_desk::why_not_written() const {
  const std::lock_guard lock{book_guard_};
  return book_.journal_failure().value_or(api_error_of(
      error_code::unavailable, "the job could not be written to disk in time", "try again"));
}

bool front_desk::may_touch(const std::string& id, const caller& who) {
  const std::lock_guard lock{book_guard_};
  const auto owner = book_.owner(id);
  if (!owner) return false;
  const bool may = who.may_touch_job_of(*owner);
  if (!may) count(refusal_reason::not_owner);
  return may;
}

void front_desk::cancel_job(const std::string& id) {
  {
    const std::lock_guard lock{book_guard_};
    book_.cancel(id);
  }
  carry_out_book();
}

std::optional<std::string> front_desk::job_state(const std::string& id) const {
  const std::lock_guard lock{book_guard_};
  return book_.state(id);
}

std::optional<job_book::piece> front_desk::read_job(const std::string& id,
                                                    std::uint32_t from) const {
  const std::lock_guard lock{book_guard_};
  return book_.read(id, from);
}

void front_desk::forget_watchers() {
  const std::lock_guard lock{book_guard_};
  job_watchers_.clear();
}

void front_desk::watch_jobs(const std::shared_ptr<inbox>& reader) {
  const std::lock_guard lock{book_guard_};
  job_watchers_.push_back(reader);
}

std::shared_ptr<const proto::ClusterStatus> front_desk::fresh_status() const {
  const std::lock_guard lock{guard_};
  const bool fresh = status_ && std::chrono::steady_clock::now() - status_at_ < status_fresh;
  return fresh ? status_ : nullptr;
}

void front_desk::keep_status(std::shared_ptr<const proto::ClusterStatus> status) {
  const std::lock_guard lock{guard_};
  status_ = std::move(status);
  status_at_ = std::chrono::steady_clock::now();
}

live_counts front_desk::counts() const {
  live_counts out;
  out.connections = connections_;
  out.requests = requests_;
  for (std::size_t i = 0; i < refused_.size(); ++i) out.refused[i] = refused_[i];
  out.draining = draining_;
  return out;
}

bool front_desk::connection_opened() {
  if (++connections_ <= settings_.connections_max) return true;
  --connections_;
  count(refusal_reason::connections);
  return false;
}

}  // namespace troupe::http
