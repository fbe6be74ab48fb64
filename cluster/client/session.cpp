#include "cluster/client/session.hpp"

#include <algorithm>

#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

constexpr std::uint32_t window_tokens = 256;  // sent ahead of what the caller has read
constexpr milliseconds submit_wait{60'000};   // for JobAccepted: the prompt is tokenised first

error gone(const std::string& at, const std::string& reason) {
  return {error_code::unavailable, "the node at " + at + " is gone: " + reason,
          "submit at another node of the cluster"};
}

}  // namespace

result<std::shared_ptr<session>> session::open(std::string_view at, milliseconds wait_max) {
  constexpr std::string_view scheme = "tcp://";
  std::string address(at.starts_with(scheme) ? at.substr(scheme.size()) : at);
  const std::size_t colon = address.rfind(':');
  if (colon == 0 || colon == std::string::npos || colon + 1 == address.size())
    return error{error_code::invalid_argument, "\"" + std::string(at) + "\" is no node's address",
                 "HOST:PORT, as in 127.0.0.1:7411"};
  std::shared_ptr<session> out(new session);
  out->name_ = "client-" + uuid_text(make_uuid());
  out->at_ = address;
  link::link_settings settings;
  settings.listen.clear();
  result<std::unique_ptr<link::endpoint>> opened =
      link::endpoint::open({out->name_, 1, link::peer_role::client}, settings, *out);
  if (!opened) return opened.failure();
  out->endpoint_ = std::move(*opened);
  if (status dialled = out->endpoint_->connect(std::string(scheme) + address); !dialled)
    return dialled.failure();
  std::unique_lock lock{out->guard_};
  if (!out->changed_.wait_for(lock, wait_max, [&] { return !out->gateway_.empty(); }))
    return error{
        error_code::unavailable,
        "no trouped answers at " + address + " within " + std::to_string(wait_max.count()) + " ms",
        "start it, or name another node"};
  out->node_ = out->gateway_;
  return out;
}

bool session::wait_until_gone(milliseconds wait_max) {
  std::unique_lock lock{guard_};
  return changed_.wait_for(lock, wait_max, [&] { return gateway_.empty(); });
}

session::~session() {
  endpoint_.reset();
}

proto::Envelope session::to_gateway(const char* actor) const {
  proto::Envelope message;
  message.mutable_sender()->set_node(name_);
  message.mutable_sender()->set_actor("client");
  message.mutable_target()->set_node(gateway_);
  message.mutable_target()->set_actor(actor);
  return message;
}

status session::send(proto::Envelope message) {
  return endpoint_->send(std::make_shared<const proto::Envelope>(std::move(message)));
}

status session::submit(const proto::SubmitJob& job) {
  std::unique_lock lock{guard_};
  if (gateway_.empty()) return gone(at_, "not connected");
  const std::string id = job.job_id();
  if (jobs_.contains(id))
    return error{error_code::already_exists, "job " + uuid_text(id) + " is being read already",
                 "end that stream first"};
  running_job& mine = jobs_.emplace(id, running_job{job_reading(window_tokens), 0}).first->second;
  mine.correlation = next_correlation_++;
  proto::Envelope message = to_gateway("gateway");
  message.set_correlation(mine.correlation);
  *message.mutable_submit_job() = job;
  message.mutable_submit_job()->set_credit_tokens(window_tokens);
  status sent = send(std::move(message));
  if (sent) {
    const bool answered = changed_.wait_for(
        lock, submit_wait, [&] { return mine.reading.accepted() || mine.reading.ended(); });
    if (mine.reading.accepted()) return {};
    sent = answered ? *mine.reading.failure()
                    : error{error_code::deadline_exceeded, "the gateway did not answer in time",
                            "look at troupe status"};
    if (!answered) {
      proto::Envelope stop = to_gateway("gateway");
      stop.mutable_cancel_job()->set_job_id(id);
      (void)send(std::move(stop)).ok();
    }
  }
  jobs_.erase(id);
  return sent;
}

result<std::optional<token>> session::next(const std::string& job_id, milliseconds wait_max) {
  std::unique_lock lock{guard_};
  job_reading& reading = jobs_.at(job_id).reading;
  changed_.wait_for(lock, wait_max, [&] { return reading.has_token() || reading.ended(); });
  if (reading.has_token()) {
    token out = reading.pop();
    if (const std::uint32_t credit = reading.credit_due(); credit > 0 && !gateway_.empty()) {
      proto::Envelope message = to_gateway("gateway");
      message.mutable_grant_job_credit()->set_job_id(job_id);
      message.mutable_grant_job_credit()->set_tokens(credit);
      if (status sent = send(std::move(message)); !sent) reading.fail(sent.failure());
    }
    return std::optional<token>(std::move(out));
  }
  if (reading.failure()) return *reading.failure();
  if (reading.ended()) return std::optional<token>();
  return error{error_code::deadline_exceeded,
               "no token came within " + std::to_string(wait_max.count()) + " ms",
               "wait longer, or cancel"};
}

report session::summary(const std::string& job_id) const {
  const std::lock_guard lock{guard_};
  return jobs_.at(job_id).reading.summary();
}

void session::cancel(const std::string& job_id) {
  const std::lock_guard lock{guard_};
  if (jobs_.at(job_id).reading.ended() || gateway_.empty()) return;
  proto::Envelope message = to_gateway("gateway");
  message.mutable_cancel_job()->set_job_id(job_id);
  (void)send(std::move(message)).ok();
}

void session::forget(const std::string& job_id) {
  cancel(job_id);
  const std::lock_guard lock{guard_};
  jobs_.erase(job_id);
}

result<link::envelope_ptr> session::ask(const char* actor, proto::Envelope request,
                                        milliseconds wait_max) {
  std::unique_lock lock{guard_};
  if (gateway_.empty()) return gone(at_, "not connected");
  const std::uint64_t correlation = next_correlation_++;
  proto::Envelope message = to_gateway(actor);
  message.MergeFrom(request);
  message.set_correlation(correlation);
  message.set_deadline_ms(
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(wait_max.count(), 1, UINT32_MAX)));
  waiting_request& waiting = requests_[correlation];
  status sent = send(std::move(message));
  if (sent) changed_.wait_for(lock, wait_max, [&] { return waiting.reply || waiting.failure; });
  const waiting_request ended = std::move(waiting);
  requests_.erase(correlation);
  if (!sent) return sent.failure();
  if (ended.failure) return *ended.failure;
  if (!ended.reply)
    return error{error_code::deadline_exceeded,
                 std::string(actor) + " at node " + gateway_ + " did not answer within " +
                     std::to_string(wait_max.count()) + " ms",
                 "try again"};
  if (ended.reply->has_error()) return error_of(ended.reply->error());
  return ended.reply;
}

void session::on_peer_up(const link::peer_view& peer) {
  if (peer.who.role != link::peer_role::node) return;
  {
    const std::lock_guard lock{guard_};
    gateway_ = peer.who.name;
  }
  changed_.notify_all();
}

void session::on_peer_down(const link::peer_view& peer, std::string reason,
                           std::vector<link::envelope_ptr>) {
  {
    const std::lock_guard lock{guard_};
    if (peer.who.name != gateway_) return;
    gateway_.clear();
    for (auto& [id, job] : jobs_) job.reading.fail(gone(at_, reason));
    for (auto& [correlation, request] : requests_) request.failure = gone(at_, reason);
  }
  changed_.notify_all();
}

void session::on_envelope(const link::peer_view& from, link::envelope_ptr message) {
  {
    const std::lock_guard lock{guard_};
    if (from.who.name != gateway_) return;
    take(message);
  }
  changed_.notify_all();
}

void session::take(const link::envelope_ptr& message) {
  if (message->correlation() != 0) {
    if (auto waiting = requests_.find(message->correlation()); waiting != requests_.end()) {
      waiting->second.reply = message;
      return;
    }
  }
  const auto job_of = [&](const std::string& id) -> job_reading* {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : &found->second.reading;
  };
  switch (message->payload_case()) {
    case proto::Envelope::kJobAccepted:
      if (job_reading* job = job_of(message->job_accepted().job_id()))
        job->take(message->job_accepted());
      return;
    case proto::Envelope::kJobTokens:
      if (job_reading* job = job_of(message->job_tokens().job_id()))
        job->take(message->job_tokens());
      return;
    case proto::Envelope::kJobFinished:
      if (job_reading* job = job_of(message->job_finished().job_id()))
        job->take(message->job_finished());
      return;
    case proto::Envelope::kError:
      for (auto& [id, job] : jobs_)
        if (message->correlation() != 0 && job.correlation == message->correlation())
          job.reading.fail(error_of(message->error()));
      return;
    default:
      return;
  }
}

}  // namespace troupe::client
