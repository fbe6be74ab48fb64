// What monitoring tells, for browsers and scripts: the picture, once or as a stream, a job's story,
// history and log lines.
#include <algorithm>

#include "actors/monitoring/profile_relay.hpp"
#include "cluster/client/observing.hpp"
#include "cluster/client/status_document.hpp"
#include "cluster/client/uuid.hpp"
#include "cluster/http/connection_leases.hpp"
#include "cluster/http/observation_request.hpp"

namespace troupe::http {
namespace {

using std::chrono::steady_clock;
constexpr std::uint32_t interval_usual_ms = 1'000, interval_min_ms = 250, interval_max_ms = 60'000;

std::variant<proto::Envelope, api_error> question_of(const http_request& request, const route& to) {
  proto::Envelope out;
  switch (to.kind) {
    case route_kind::history: {
      auto read = read_history_query(request.query);
      if (auto* why = std::get_if<api_error>(&read)) return *why;
      *out.mutable_read_history() = std::get<proto::ReadHistory>(std::move(read));
      return out;
    }
    case route_kind::log: {
      auto read = read_log_query(request.query);
      if (auto* why = std::get_if<api_error>(&read)) return *why;
      *out.mutable_read_log() = std::get<proto::ReadLog>(std::move(read));
      return out;
    }
    case route_kind::story: {
      const auto id = client::job_id_bytes(to.name);
      if (!id) return wrong_request(400, id.failure().message + "; " + id.failure().mend);
      out.mutable_read_story()->set_job_id(*id);
      out.mutable_read_story()->set_prefix(id->size() < 16);
      return out;
    }
    default:
      out.mutable_read_picture();
      return out;
  }
}

std::string document_in(const proto::Envelope& answer) {
  if (answer.has_cluster_picture()) return client::document_of(answer.cluster_picture());
  if (answer.has_job_story()) return client::document_of(answer.job_story());
  if (answer.has_cluster_history()) return client::document_of(answer.cluster_history());
  if (answer.has_log_part()) return client::document_of(answer.log_part());
  return "{}";
}

std::string event_of(const envelope_ptr& answer) {
  if (!answer || !answer->has_cluster_picture()) return "event: silent\ndata: {}\n\n";
  return "event: picture\ndata: " + document_in(*answer) + "\n\n";
}

api_error silence() {
  return api_error_of(error_code::unavailable, "monitoring did not answer", "try again");
}

}  // namespace

asio::awaitable<bool> connection::observe(const http_request& request, const route& to) {
  auto question = question_of(request, to);
  if (const auto* why = std::get_if<api_error>(&question)) co_return co_await refuse(request, *why);
  const envelope_ptr answer =
      co_await ask_for("monitoring", std::get<proto::Envelope>(std::move(question)));
  if (!answer) co_return co_await refuse(request, silence());
  if (answer->has_error()) co_return co_await refuse(request, api_error_of(answer->error()));
  co_return co_await document(request, document_in(*answer));
}

// Holds its place for the seconds of the profile: many at once are refused as many jobs are.
asio::awaitable<bool> connection::tell_profile(const http_request& request) {
  auto asked = read_profile_query(request.query);
  if (const auto* why = std::get_if<api_error>(&asked)) co_return co_await refuse(request, *why);
  proto::Envelope question;
  *question.mutable_read_profile() = std::get<proto::ReadProfile>(std::move(asked));
  const milliseconds wait = std::chrono::seconds(question.read_profile().seconds()) +
                            profile_relay::answer_slack + status_wait;
  if (auto why = desk_.admit(caller_.client)) co_return co_await refuse(request, *why);
  const admission_lease admitted(desk_, caller_.client);
  const envelope_ptr answer = co_await ask_for("monitoring", std::move(question), wait);
  if (!answer) co_return co_await refuse(request, silence());
  if (answer->has_error()) co_return co_await refuse(request, api_error_of(answer->error()));
  co_return co_await document(request, client::document_of(answer->node_profile()));
}

// A job of this node's gateway, whichever client waits for it, or a long job of this door.
asio::awaitable<bool> connection::cancel_any_job(const http_request& request, const route& to) {
  const auto id = client::uuid_bytes(to.name);
  if (!id) co_return co_await refuse(request, wrong_request(400, "a job's id is a UUID"));
  if (desk_.job_state(*id)) {
    desk_.audit(caller_, "cancel", "done", {{"job", to.name}});
    desk_.cancel_job(*id);
    co_return co_await document(request, *desk_.job_state(*id));
  }
  proto::Envelope question;
  question.mutable_cancel_job()->set_job_id(*id);
  const envelope_ptr answer = co_await ask_for("gateway", std::move(question));
  const bool done = answer && answer->has_job_finished();
  desk_.audit(caller_, "cancel", done ? "done" : "failed", {{"job", to.name}});
  if (!answer)
    co_return co_await refuse(
        request, api_error_of(error_code::unavailable, "the gateway did not answer", "try again"));
  if (!done && answer->error().code() == proto::Error::NOT_FOUND)
    co_return co_await refuse(
        request, wrong_request(404, "the gateway of node " + desk_.settings().node +
                                        " has no job " + to.name +
                                        ": it has ended, or is another node's; ask that node's "
                                        "door, or cancel it in `troupe console`"));
  if (!done) co_return co_await refuse(request, api_error_of(answer->error()));
  co_return co_await document(request, client::document_of(answer->job_finished()));
}

// Server-sent events, one picture each interval_ms, until the client goes. A picture that does not
// come is told as an event "silent", and the stream goes on.
asio::awaitable<bool> connection::stream_picture(const http_request& request) {
  const auto wished = query_number(request.query, "interval_ms", interval_usual_ms);
  if (!wished)
    co_return co_await refuse(request,
                              wrong_request(400, "interval_ms is a number of milliseconds"));
  const milliseconds interval(std::clamp(*wished, interval_min_ms, interval_max_ms));
  if (auto why = desk_.admit(caller_.client)) co_return co_await refuse(request, *why);
  const admission_lease admitted(desk_, caller_.client);
  const milliseconds wait = desk_.settings().write_wait;
  reply_head head{.content_type = "text/event-stream; charset=utf-8"};
  head.keep_alive = stays(request);
  head.http_1_0 = request.http_1_0;
  head.headers = {{"cache-control", "no-store"}};
  if (!co_await wire_->write(text_of(head), wait)) co_return false;
  auto box = std::make_shared<inbox>(co_await asio::this_coro::executor);
  while (!desk_.draining()) {
    const auto next = steady_clock::now() + interval;
    proto::Envelope question;
    question.mutable_read_picture();
    const envelope_ptr answer = co_await ask("monitoring", std::move(question));
    std::string event = event_of(answer);
    if (!request.http_1_0) event = chunk_of(event);
    const bool written = co_await wire_->write(std::move(event), wait);
    if (!written) co_return false;
    co_await box->wait(next);
  }
  co_return false;
}

}  // namespace troupe::http
