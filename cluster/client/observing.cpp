#include "cluster/client/observing.hpp"

#include <algorithm>

#include "cluster/client/session.hpp"
#include "cluster/client/uuid.hpp"

namespace troupe::client {
namespace {

constexpr std::size_t digits_min = 8;

error wrong_job(std::string_view text) {
  return {error_code::invalid_argument,
          "\"" + std::string(text.substr(0, 64)) + "\" is no job's id",
          "give the UUID, or at least its first 8 hexadecimal digits"};
}

error not_understood(const char* what) {
  return {error_code::internal, std::string("monitoring's answer is no ") + what,
          "are client and node of the same version?"};
}

class observing_session final : public observer {
 public:
  observing_session(std::string at, std::shared_ptr<session> session)
      : at_(std::move(at)), session_(std::move(session)) {}

  result<proto::ClusterPicture> picture(milliseconds wait_max) override {
    proto::Envelope request;
    request.mutable_read_picture();
    const auto reply = ask("monitoring", std::move(request), wait_max);
    if (!reply) return reply.failure();
    if (!(*reply)->has_cluster_picture()) return not_understood("picture");
    return (*reply)->cluster_picture();
  }

  result<proto::JobStory> story(std::string_view job, milliseconds wait_max) override {
    const auto id = job_id_bytes(job);
    if (!id) return id.failure();
    proto::Envelope request;
    request.mutable_read_story()->set_job_id(*id);
    request.mutable_read_story()->set_prefix(id->size() < 16);
    const auto reply = ask("monitoring", std::move(request), wait_max);
    if (!reply) return reply.failure();
    if (!(*reply)->has_job_story()) return not_understood("job's story");
    return (*reply)->job_story();
  }

  result<proto::ClusterHistory> history(const proto::ReadHistory& asked,
                                        milliseconds wait_max) override {
    proto::Envelope request;
    *request.mutable_read_history() = asked;
    const auto reply = ask("monitoring", std::move(request), wait_max);
    if (!reply) return reply.failure();
    if (!(*reply)->has_cluster_history()) return not_understood("history");
    return (*reply)->cluster_history();
  }

  result<proto::LogPart> log(const proto::ReadLog& asked, milliseconds wait_max) override {
    proto::Envelope request;
    *request.mutable_read_log() = asked;
    const auto reply = ask("monitoring", std::move(request), wait_max);
    if (!reply) return reply.failure();
    if (!(*reply)->has_log_part()) return not_understood("log");
    return (*reply)->log_part();
  }

  // Not asked again elsewhere where its node goes meanwhile: the seconds would begin anew.
  result<proto::NodeProfile> profile(const proto::ReadProfile& asked,
                                     milliseconds answer_wait) override {
    proto::Envelope request;
    *request.mutable_read_profile() = asked;
    const auto reply = session_->ask("monitoring", std::move(request),
                                     std::chrono::seconds(asked.seconds()) + answer_wait);
    if (!reply) return reply.failure();
    if (!(*reply)->has_node_profile()) return not_understood("profile");
    return (*reply)->node_profile();
  }

  status cancel(const proto::JobShown& job, milliseconds wait_max) override {
    const auto there = session_with(job.gateway(), wait_max);
    if (!there) return there.failure();
    proto::Envelope request;
    request.mutable_cancel_job()->set_job_id(job.job_id());
    const auto reply = (*there)->ask("gateway", std::move(request), wait_max);
    return reply ? status() : status(reply.failure());
  }

  status unload(std::string_view node, std::string_view model_digest,
                milliseconds wait_max) override {
    const auto there = session_with(node, wait_max);
    if (!there) return there.failure();
    proto::Envelope request;
    request.mutable_unload_model()->set_model(std::string(model_digest));
    const auto reply = (*there)->ask("model_loader", std::move(request), wait_max);
    return reply ? status() : status(reply.failure());
  }

  std::string node() const override { return session_->node_name(); }

 private:
  // Once more through a fresh session where the node that answered so far is gone.
  result<link::envelope_ptr> ask(const char* actor, proto::Envelope request,
                                 milliseconds wait_max) {
    auto reply = session_->ask(actor, request, wait_max);
    if (reply || reply.failure().code != error_code::unavailable) return reply;
    connect_options options = session_->options();
    options.wait_max = wait_max;
    auto fresh = session::open(at_, std::move(options));
    if (!fresh) return fresh.failure();
    session_ = std::move(*fresh);
    return session_->ask(actor, std::move(request), wait_max);
  }

  result<std::shared_ptr<session>> session_with(std::string_view node, milliseconds wait_max) {
    if (session_->node_name() == node) return session_;
    const auto seen = picture(wait_max);
    if (!seen) return seen.failure();
    for (const proto::NodePart& part : seen->nodes()) {
      if (part.node() != node || !part.up() || part.status().address().empty()) continue;
      connect_options options = session_->options();
      options.wait_max = wait_max;
      auto opened = session::open(part.status().address(), std::move(options));
      if (opened && (*opened)->node_name() != node)
        return error{
            error_code::not_found,
            "node " + (*opened)->node_name() + " answers where " + std::string(node) + " was",
            "look at troupe status"};
      return opened;
    }
    return error{error_code::not_found, "no node " + std::string(node) + " is up",
                 "look at troupe status"};
  }

  const std::string at_;
  std::shared_ptr<session> session_;
};

}  // namespace

result<std::unique_ptr<observer>> observer::open(std::string_view at, connect_options options) {
  auto opened = session::open(at, std::move(options));
  if (!opened) return opened.failure();
  return std::unique_ptr<observer>(
      std::make_unique<observing_session>(std::string(at), std::move(*opened)));
}

result<std::string> job_id_bytes(std::string_view text) {
  if (text.size() == 36) return uuid_bytes(text);
  std::string digits;
  for (const char c : text)
    if (c != '-') digits += c;
  if (digits.size() < digits_min || digits.size() > 31) return wrong_job(text);
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    int value = 0;
    for (const char c : {digits[i], digits[i + 1]}) {
      const bool number = c >= '0' && c <= '9', low = c >= 'a' && c <= 'f',
                 high = c >= 'A' && c <= 'F';
      if (!number && !low && !high) return wrong_job(text);
      value = value * 16 + (number ? c - '0' : low ? c - 'a' + 10 : c - 'A' + 10);
    }
    out += static_cast<char>(value);
  }
  return out;
}

}  // namespace troupe::client
