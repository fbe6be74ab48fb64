#include "cluster/client/session.hpp"

#include <algorithm>

#include "cluster/client/link_keys.hpp"
#include "cluster/client/uuid.hpp"
#include "cluster/link/asked_mechanism.hpp"
#include "cluster/link/dial_watch.hpp"

namespace troupe::client {
namespace {

constexpr std::uint32_t window_tokens = 256;  // sent ahead of what the caller has read
constexpr milliseconds submit_wait{60'000};   // for JobAccepted: the prompt is tokenised first
constexpr milliseconds greeting_wait{1'000};
constexpr milliseconds retry_wait{250};       // before a gateway that refused is asked again
constexpr milliseconds credit_repeat{1'000};  // a silent gateway is told the credit again

error gone(const std::string& at, const std::string& reason) {
  return {error_code::unavailable, "the node at " + at + " is gone: " + reason,
          "submit at another node of the cluster"};
}

// "a:1,tcp://b:2" as addresses without a scheme.
result<std::vector<std::string>> addresses_of(std::string_view at) {
  constexpr std::string_view scheme = "tcp://";
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= at.size();) {
    const std::size_t end = std::min(at.find(',', begin), at.size());
    std::string_view one = at.substr(begin, end - begin);
    if (one.starts_with(scheme)) one.remove_prefix(scheme.size());
    const std::size_t colon = one.rfind(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == one.size())
      return error{error_code::invalid_argument,
                   "\"" + std::string(one) + "\" is no node's address",
                   "HOST:PORT, as in 127.0.0.1:7411; commas between several"};
    out.emplace_back(one);
    begin = end + 1;
  }
  return out;
}

}  // namespace

result<std::shared_ptr<session>> session::open(std::string_view at, connect_options options) {
  const result<std::vector<std::string>> addresses = addresses_of(at);
  if (!addresses) return addresses.failure();
  std::shared_ptr<session> out(new session);
  out->name_ = "client-" + uuid_text(make_uuid());
  out->at_ = at;
  out->resume_wait_ = options.resume_wait;
  out->options_ = options;
  link::link_settings settings;
  settings.listen.clear();
  result<link::link_security> security = link_keys(options, *addresses);
  if (!security) return security.failure();
  settings.security = std::move(*security);
  const bool encrypted = settings.security.on();
  result<std::unique_ptr<link::endpoint>> opened =
      link::endpoint::open({out->name_, 1, link::peer_role::client}, settings, *out);
  if (!opened) return opened.failure();
  out->endpoint_ = std::move(*opened);
  for (const std::string& address : *addresses)
    if (status dialled = out->endpoint_->connect("tcp://" + address); !dialled)
      return dialled.failure();
  std::unique_lock lock{out->guard_};
  if (!out->changed_.wait_for(lock, options.wait_max, [&] { return !out->gateway_.empty(); })) {
    lock.unlock();
    if (const std::optional<error> why = out->endpoint_->dial_trouble()) {
      if (why->code != error_code::unavailable || encrypted) return *why;
      for (const std::string& address : *addresses)
        if (link::asked_mechanism("tcp://" + address, greeting_wait) == "CURVE")
          return link::trouble_of(link::handshake_failure::other_mechanism, "tcp://" + address,
                                  false, {});
      return *why;
    }
    return error{error_code::unavailable,
                 "no trouped answers at " + out->at_ + " within " +
                     std::to_string(options.wait_max.count()) + " ms",
                 "start it, or name another node"};
  }
  out->node_ = out->gateway_;
  return out;
}

bool session::wait_until_gone(milliseconds wait_max) {
  std::unique_lock lock{guard_};
  return changed_.wait_for(lock, wait_max,
                           [&] { return std::find(up_.begin(), up_.end(), node_) == up_.end(); });
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

status session::hand_over(running_job& job, const std::string& avoided) {
  job.retry_at.reset();
  job.gateway.clear();
  for (const std::string& node : up_)
    if (job.gateway.empty() || job.gateway == avoided) job.gateway = node;
  if (job.gateway.empty()) return {};  // the next one that comes up gets it
  job.correlation = next_correlation_++;
  proto::Envelope message = to_gateway("gateway");
  message.mutable_target()->set_node(job.gateway);
  message.set_correlation(job.correlation);
  *message.mutable_submit_job() = job.asked;
  job.reading.resume(*message.mutable_submit_job());
  return send(std::move(message));
}

// How far the gateway may send; said again after silence. It carries the submission's correlation,
// so that a gateway that has forgotten the job says so to it.
void session::grant(const std::string& job_id, running_job& job) {
  job.heard_at = steady_clock::now();
  proto::Envelope message = to_gateway("gateway");
  message.mutable_target()->set_node(job.gateway);
  message.set_correlation(job.correlation);
  message.mutable_grant_job_credit()->set_job_id(job_id);
  message.mutable_grant_job_credit()->set_limit(job.reading.credit_limit());
  if (status sent = send(std::move(message)); !sent) lose(job, sent.failure());
}

void session::lose(running_job& job, error why) {
  if (job.reading.ended()) return;
  job.gateway.clear();
  job.last_error = std::move(why);
  if (resume_wait_.count() == 0) return job.reading.fail(job.last_error);
  if (!job.lost_at) job.lost_at = steady_clock::now();
}

// Some refusals are of the moment: a gateway that stops, or has just begun.
void session::refused(running_job& job, const proto::Error& why) {
  // Of a stream that runs these are about a grant: the gateway has forgotten the job, or had no
  // room for the grant.
  const bool runs = job.reading.accepted() && !job.lost_at;
  if (runs && why.code() == proto::Error::RESOURCE_EXHAUSTED) return;
  const bool passes =
      why.code() == proto::Error::UNAVAILABLE || (runs && why.code() == proto::Error::NOT_FOUND) ||
      (job.lost_at &&
       (why.code() == proto::Error::NOT_FOUND || why.code() == proto::Error::RESOURCE_EXHAUSTED));
  const std::string refuser = job.gateway;
  const bool again = job.lost_at.has_value();
  const bool may_go_on = job.reading.accepted() || knows_several();
  if (!passes || !may_go_on || resume_wait_.count() == 0) return job.reading.fail(error_of(why));
  lose(job, error_of(why));
  if (again || up_.size() < 2 || !hand_over(job, refuser).ok()) {
    job.retry_at = steady_clock::now() + retry_wait;
    return;
  }
  gateway_ = job.gateway;  // new jobs go there too
}

template <class News>
bool session::wait_for_job(std::unique_lock<std::mutex>& lock, running_job& job,
                           milliseconds wait_max, News&& has_news) {
  const auto until = steady_clock::now() + wait_max;
  while (!has_news()) {
    const auto now = steady_clock::now();
    if (job.lost_at && now >= *job.lost_at + resume_wait_) {
      job.reading.fail(job.last_error);
      continue;
    }
    if (now >= until) return false;
    if (job.retry_at && now >= *job.retry_at)
      if (status sent = hand_over(job, gateway_); !sent) job.retry_at = now + retry_wait;
    auto wake = until;
    if (job.reading.accepted() && !job.reading.ended() && !job.gateway.empty() && !job.lost_at) {
      if (now >= job.heard_at + credit_repeat) {
        grant(job.asked.job_id(), job);
        continue;
      }
      wake = std::min(wake, job.heard_at + credit_repeat);
    }
    if (job.lost_at) wake = std::min(wake, *job.lost_at + resume_wait_);
    if (job.retry_at) wake = std::min(wake, *job.retry_at);
    changed_.wait_until(lock, wake);
  }
  return true;
}

status session::submit(const proto::SubmitJob& job) {
  std::unique_lock lock{guard_};
  const bool waits = knows_several() && resume_wait_.count() > 0;  // for one of them to come back
  if (gateway_.empty() && !waits) return gone(at_, "not connected");
  const std::string id = job.job_id();
  if (jobs_.contains(id))
    return error{error_code::already_exists, "job " + uuid_text(id) + " is being read already",
                 "end that stream first"};
  running_job& mine =
      jobs_.emplace(id, running_job{job_reading(window_tokens), job, {}, 0, {}, {}, {}, {}})
          .first->second;
  if (gateway_.empty()) lose(mine, gone(at_, "not connected"));
  status sent = mine.lost_at ? status() : hand_over(mine, {});
  if (sent) {
    const bool answered = wait_for_job(
        lock, mine, submit_wait, [&] { return mine.reading.accepted() || mine.reading.ended(); });
    if (mine.reading.accepted()) return {};
    sent = answered ? *mine.reading.failure()
                    : error{error_code::deadline_exceeded, "the gateway did not answer in time",
                            "look at troupe status"};
    if (!answered && !mine.gateway.empty()) {
      proto::Envelope stop = to_gateway("gateway");
      stop.mutable_target()->set_node(mine.gateway);
      stop.mutable_cancel_job()->set_job_id(id);
      (void)send(std::move(stop)).ok();
    }
  }
  jobs_.erase(id);
  return sent;
}

result<std::optional<token>> session::next(const std::string& job_id, milliseconds wait_max) {
  std::unique_lock lock{guard_};
  running_job& job = jobs_.at(job_id);
  job_reading& reading = job.reading;
  wait_for_job(lock, job, wait_max, [&] { return reading.has_token() || reading.ended(); });
  if (reading.has_token()) {
    token out = reading.pop();
    // Without a gateway the next submission grants it.
    if (!job.gateway.empty() && reading.credit_due() > 0) grant(job_id, job);
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
  const running_job& job = jobs_.at(job_id);
  if (job.reading.ended() || job.gateway.empty()) return;
  proto::Envelope message = to_gateway("gateway");
  message.mutable_target()->set_node(job.gateway);
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
    up_.push_back(peer.who.name);
    if (gateway_.empty()) gateway_ = peer.who.name;
    for (auto& [id, job] : jobs_)
      if (job.lost_at && job.gateway.empty() && !job.retry_at && !job.reading.ended())
        if (status sent = hand_over(job, {}); !sent)
          job.retry_at = steady_clock::now() + retry_wait;
  }
  changed_.notify_all();
}

void session::on_peer_down(const link::peer_view& peer, std::string reason,
                           std::vector<link::envelope_ptr>) {
  {
    const std::lock_guard lock{guard_};
    std::erase(up_, peer.who.name);
    if (peer.who.name == gateway_) {
      gateway_ = up_.empty() ? std::string() : up_.front();
      for (auto& [correlation, request] : requests_) request.failure = gone(at_, reason);
    }
    for (auto& [id, job] : jobs_) {
      if (job.gateway != peer.who.name || job.reading.ended()) continue;
      lose(job, gone(at_, reason));
      if (job.reading.ended()) continue;
      if (status sent = hand_over(job, {}); !sent) job.retry_at = steady_clock::now() + retry_wait;
    }
  }
  changed_.notify_all();
}

void session::on_envelope(const link::peer_view& from, link::envelope_ptr message) {
  {
    const std::lock_guard lock{guard_};
    take(from.who.name, message);
  }
  changed_.notify_all();
}

void session::take(const std::string& from, const link::envelope_ptr& message) {
  if (message->correlation() != 0) {
    if (auto waiting = requests_.find(message->correlation()); waiting != requests_.end()) {
      waiting->second.reply = message;
      return;
    }
  }
  const auto job_of = [&](const std::string& id) -> job_reading* {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.gateway != from) return nullptr;
    found->second.heard_at = steady_clock::now();
    return &found->second.reading;
  };
  switch (message->payload_case()) {
    case proto::Envelope::kJobAccepted:
      if (job_reading* job = job_of(message->job_accepted().job_id())) {
        if (message->correlation() != jobs_.at(message->job_accepted().job_id()).correlation)
          return;
        job->take(message->job_accepted());
        jobs_.at(message->job_accepted().job_id()).lost_at.reset();
      }
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
        if (message->correlation() != 0 && job.correlation == message->correlation() &&
            job.gateway == from)
          refused(job, message->error());
      return;
    default:
      return;
  }
}

}  // namespace troupe::client
