#include "cluster/http/connection.hpp"

#include <spdlog/spdlog.h>

#include "cluster/client/uuid.hpp"
#include "cluster/http/cluster_documents.hpp"
#include "cluster/http/connection_leases.hpp"
#include "cluster/http/console_page.hpp"
#include "cluster/http/ollama_request.hpp"
#include "cluster/http/openai_request.hpp"
#include "cluster/http/trace_parent.hpp"

namespace troupe::http {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t pipelined_bytes_max = 64u << 10;

milliseconds until(steady_clock::time_point when) {
  const auto left = std::chrono::ceil<milliseconds>(when - steady_clock::now());
  return std::max(left, milliseconds(1));
}

std::int64_t unix_now_s() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

asio::awaitable<void> connection::run() {
  if (co_await wire_->greet(desk_.settings().request_wait)) {
    for (;;) {
      auto request = co_await read_request();
      if (!request || !co_await serve(*request)) break;
    }
  }
  wire_->close();
}

asio::awaitable<std::optional<http_request>> connection::read_request() {
  const http_settings& settings = desk_.settings();
  request_reader reader({.body_bytes_max = settings.body_bytes_max});
  std::optional<steady_clock::time_point> deadline;
  bool may_send_body = !desk_.asks_for_keys();
  for (;;) {
    if (!pending_.empty()) {
      if (!deadline) deadline = steady_clock::now() + settings.request_wait;
      pending_.erase(0, reader.feed(pending_));
    }
    if (reader.now() == request_reader::state::complete) co_return reader.take();
    if (reader.now() == request_reader::state::refused) {
      co_await wire_->write(refusal(reader.refusal(), false, false), settings.write_wait);
      co_return std::nullopt;
    }
    if (reader.now() == request_reader::state::body && !std::exchange(may_send_body, true)) {
      // Strangers do not make the node hold what they send.
      const http_request head = reader.head();
      const auto found = find_route(head.method, head.path);
      const auto judged = desk_.recognise(head, std::get_if<route>(&found), address_);
      if (auto* why = std::get_if<api_error>(&judged)) {
        co_await wire_->write(refusal(*why, is_ollamas(head.path), false), settings.write_wait);
        co_return std::nullopt;
      }
    }
    if (reader.takes_continue() &&
        !co_await wire_->write("HTTP/1.1 100 Continue\r\n\r\n", settings.write_wait))
      co_return std::nullopt;
    const milliseconds wait = deadline ? until(*deadline) : settings.idle_wait;
    const bool late = deadline && steady_clock::now() >= *deadline;
    if (!late && co_await wire_->read(pending_, wait) > 0) continue;
    if (deadline && steady_clock::now() >= *deadline) {
      const api_error why = wrong_request(408, "the request did not come whole within " +
                                                   std::to_string(settings.request_wait.count()) +
                                                   " ms (http.request_wait)");
      co_await wire_->write(refusal(why, false, false), settings.write_wait);
    }
    co_return std::nullopt;
  }
}

bool connection::stays(const http_request& request) const {
  return request.keep_alive && !desk_.draining() && pending_.size() <= pipelined_bytes_max;
}

asio::awaitable<bool> connection::send(std::string bytes, bool keep) {
  const bool sent = co_await wire_->write(std::move(bytes), desk_.settings().write_wait);
  co_return sent&& keep;
}

asio::awaitable<bool> connection::refuse(const http_request& request, const api_error& why) {
  const bool keep = stays(request);
  spdlog::debug("http_refused method={} status={} reason=\"{}\"", request.method, why.status,
                why.message);
  std::string bytes = refusal(why, is_ollamas(request.path), keep);
  if (request.method == "HEAD") bytes.resize(bytes.find("\r\n\r\n") + 4);
  return send(std::move(bytes), keep);
}

asio::awaitable<bool> connection::reply(const http_request& request, reply_head head,
                                        const std::string& body) {
  head.keep_alive = stays(request);
  head.http_1_0 = request.http_1_0;
  head.length = body.size();
  std::string bytes = text_of(head);
  if (request.method != "HEAD") bytes += body;
  return send(std::move(bytes), head.keep_alive);
}

asio::awaitable<bool> connection::document(const http_request& request, const std::string& body,
                                           int status, const char* content_type) {
  reply_head head;
  head.status = status;
  head.content_type = content_type;
  return reply(request, std::move(head), body);
}

asio::awaitable<bool> connection::serve(const http_request& request) {
  const auto found = find_route(request.method, request.path);
  const route* to = std::get_if<route>(&found);
  auto judged = desk_.recognise(request, to, address_);
  if (auto* why = std::get_if<api_error>(&judged)) co_return co_await refuse(request, *why);
  caller_ = std::get<caller>(std::move(judged));
  if (!to) co_return co_await refuse(request, std::get<api_error>(found));
  co_return co_await serve_route(request, *to);
}

asio::awaitable<bool> connection::serve_route(const http_request& request, const route& to) {
  const request_limits limits = desk_.limits();
  switch (to.kind) {
    case route_kind::completions:
      co_return co_await answer(request, read_completion(request.body, limits));
    case route_kind::chat:
      co_return co_await answer(request, read_chat(request.body, limits));
    case route_kind::embeddings:
      co_return co_await answer(request, read_embeddings(request.body, limits));
    case route_kind::ollama_generate:
      co_return co_await answer(request, read_ollama_generate(request.body, limits));
    case route_kind::ollama_chat:
      co_return co_await answer(request, read_ollama_chat(request.body, limits));
    case route_kind::job_submit:
      co_return co_await submit_job(request);
    case route_kind::job_stream:
    case route_kind::job_state:
    case route_kind::job_cancel:
      co_return co_await job_route(request, to);
    case route_kind::node_drain:
      co_return co_await drain_node(request, to);
    case route_kind::root:
      co_return co_await document(request, "troupe is running\n", 200, "text/plain");
    case route_kind::health:
      co_return co_await document(request, "{\"status\":\"ok\"}");
    case route_kind::ollama_version:
      co_return co_await document(request, "{\"version\":\"" + desk_.settings().version + "\"}");
    case route_kind::console:
      co_return co_await show_console(request);
    case route_kind::metrics:
      co_return co_await tell_metrics(request);
    case route_kind::picture:
    case route_kind::story:
    case route_kind::history:
    case route_kind::log:
      co_return co_await observe(request, to);
    case route_kind::any_job_cancel:
      co_return co_await cancel_any_job(request, to);
    case route_kind::profile:
      co_return co_await tell_profile(request);
    case route_kind::picture_stream:
      co_return co_await stream_picture(request);
    default:
      co_return co_await cluster_route(request, to);
  }
}

// An actor of this node answers, or nobody does within the wait: null.
asio::awaitable<envelope_ptr> connection::ask(const char* actor, proto::Envelope question) {
  envelope_ptr answer = co_await ask_for(actor, std::move(question));
  co_return answer && !answer->has_error() ? answer : nullptr;
}

asio::awaitable<envelope_ptr> connection::ask_for(const char* actor, proto::Envelope question,
                                                  milliseconds wait) {
  auto box = std::make_shared<inbox>(co_await asio::this_coro::executor);
  session_lease session(desk_, box);
  session.tell_gateway = false;  // it has no jobs
  question.mutable_sender()->set_node(session.name());
  question.mutable_sender()->set_actor("client");
  question.mutable_target()->set_node(desk_.settings().node);
  question.mutable_target()->set_actor(actor);
  question.set_correlation(1);
  desk_.post(std::move(question));
  const auto late = steady_clock::now() + wait;
  while (steady_clock::now() < late) {
    co_await box->wait(late);
    for (const envelope_ptr& message : box->take()) co_return message;
  }
  co_return nullptr;
}

// Of this node: another one has a door of its own.
asio::awaitable<bool> connection::drain_node(const http_request& request, const route& to) {
  const std::string& own = desk_.settings().node;
  if (to.name != own)
    co_return co_await refuse(request,
                              wrong_request(404, "this is the door of node " + own + "; ask node " +
                                                     to.name.substr(0, 64) + " itself"));
  const auto wait_ms = query_number(request.query, "wait_ms", 0);
  if (!wait_ms)
    co_return co_await refuse(request, wrong_request(400, "wait_ms is a number of milliseconds"));
  desk_.enter(caller_.client);                  // also where the door is full
  admission_lease held(desk_, caller_.client);  // the node's end waits for this reply
  // Before it is carried out: the node may have stopped before the answer is here.
  desk_.audit(caller_, "drain", "asked", {{"wait_ms", std::to_string(*wait_ms)}});
  proto::Envelope question;
  question.mutable_drain_node()->set_wait_ms(*wait_ms);
  const envelope_ptr answer = co_await ask("node", std::move(question));
  if (!answer || !answer->has_node_draining()) {
    desk_.audit(caller_, "drain", "failed", {{"reason", "the node actor did not answer"}});
    co_return co_await refuse(request, api_error_of(error_code::unavailable,
                                                    "the node actor did not answer", "try again"));
  }
  co_return co_await document(
      request,
      "{\"draining\":true,\"wait_ms\":" + std::to_string(answer->node_draining().wait_ms()) + "}",
      202);
}

asio::awaitable<std::shared_ptr<const proto::ClusterStatus>> connection::read_cluster() {
  if (auto known = desk_.fresh_status()) co_return known;
  proto::Envelope question;
  question.mutable_read_cluster();
  const envelope_ptr answer = co_await ask("gateway", std::move(question));
  if (!answer || !answer->has_cluster_status()) co_return nullptr;
  auto status = std::make_shared<const proto::ClusterStatus>(answer->cluster_status());
  desk_.keep_status(status);
  co_return status;
}

asio::awaitable<bool> connection::show_console(const http_request& request) {
  const console_page& page = the_console_page();
  reply_head head = console_head(page, request.if_none_match);
  std::string body;
  if (head.status != 304) body = page.packed;
  return reply(request, std::move(head), body);
}

asio::awaitable<bool> connection::tell_metrics(const http_request& request) {
  proto::Envelope question;
  question.mutable_read_metrics();
  const envelope_ptr answer = co_await ask("monitoring", std::move(question));
  if (!answer || !answer->has_node_metrics())
    co_return co_await refuse(
        request,
        api_error_of(error_code::unavailable, "monitoring did not tell its counts", "try again"));
  co_return co_await document(request, metrics_text(answer->node_metrics(), desk_.counts()), 200,
                              "text/plain; version=0.0.4; charset=utf-8");
}

asio::awaitable<bool> connection::cluster_route(const http_request& request, const route& to) {
  const auto status = co_await read_cluster();
  if (!status)
    co_return co_await refuse(
        request,
        api_error_of(error_code::unavailable, "the gateway did not tell its status", "try again"));
  const std::int64_t began = desk_.started_s();
  switch (to.kind) {
    case route_kind::models:
      co_return co_await document(request, openai_models(*status, began));
    case route_kind::model: {
      auto one = openai_model(*status, to.name, began);
      if (one) co_return co_await document(request, *std::move(one));
      co_return co_await refuse(
          request, wrong_request(404, "no model " + to.name + "; GET /v1/models lists them"));
    }
    case route_kind::ollama_tags:
      co_return co_await document(request, ollama_tags(*status, began));
    default: {
      readiness ready = readiness_of(*status, desk_.draining());
      if (!caller_.may(scope::viewer))  // names of models and nodes are not for everyone
        ready.document = ready.ready ? "{\"ready\":true}" : "{\"ready\":false}";
      co_return co_await document(request, std::move(ready.document), ready.ready ? 200 : 503);
    }
  }
}

asio::awaitable<bool> connection::answer(const http_request& request, work_or_error asked) {
  if (auto* why = std::get_if<api_error>(&asked)) co_return co_await refuse(request, *why);
  if (auto why = desk_.admit(caller_.client)) co_return co_await refuse(request, *why);
  admission_lease admitted(desk_, caller_.client);
  asked_work work = std::get<asked_work>(std::move(asked));
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < work.jobs.size(); ++i) ids.push_back(client::make_uuid());
  auto strand = co_await asio::this_coro::executor;
  auto box = std::make_shared<inbox>(strand);
  session_lease session(desk_, box);
  const bool by_user = caller_.key.empty() && !work.user.empty();
  request_origin origin{session.name(), desk_.settings().node,
                        by_user ? "user-" + work.user : caller_.client,
                        read_trace_parent(request.trace_parent).value_or(proto::TraceContext())};
  request_core core(std::move(work), ids, std::move(origin), unix_now_s());
  for (proto::Envelope& message : core.submissions()) desk_.post(std::move(message));
  client_watch watch(strand, shared_from_this(), *wire_, box);
  const bool keep = co_await converse(request, core, box);
  session.tell_gateway = !core.done() || core.failure().has_value();
  co_return keep;
}

asio::awaitable<bool> connection::converse(const http_request& request, request_core& core,
                                           const std::shared_ptr<inbox>& box) {
  const http_settings& settings = desk_.settings();
  const auto late = steady_clock::now() + settings.answer_wait;
  const auto head_due = steady_clock::now() + settings.head_wait;
  reply_head head{.content_type = core.content_type()};
  head.keep_alive = stays(request);
  head.http_1_0 = request.http_1_0;
  bool head_sent = false;
  while (!core.done()) {
    auto until = late;
    if (core.plan().streams) until = std::min(late, steady_clock::now() + settings.credit_repeat);
    if (core.plan().streams && !head_sent) until = std::min(until, head_due);
    co_await box->wait(until);
    if (box->given_up()) co_return false;
    const std::vector<envelope_ptr> news = box->take();
    for (const envelope_ptr& message : news) core.take(*message);
    if (news.empty())  // silence: a grant may have been lost
      for (proto::Envelope& credit : core.credit()) desk_.post(std::move(credit));
    if (steady_clock::now() >= late)
      core.fail(api_error_of(error_code::deadline_exceeded, "the answer took too long"));
    if (!core.plan().streams) continue;
    if (steady_clock::now() >= head_due && !core.failure()) core.begin();
    if (!core.begun()) continue;
    std::string bytes;
    if (!head_sent) {
      head.headers = core.headers();
      bytes = text_of(head);
      head_sent = true;
    }
    const std::string said = core.take_output();
    bytes += request.http_1_0 ? said : chunk_of(said);
    if (core.done() && !request.http_1_0) bytes += last_chunk;
    if (bytes.empty()) continue;
    if (!co_await wire_->write(bytes, settings.write_wait)) co_return false;
    for (proto::Envelope& credit : core.written()) desk_.post(std::move(credit));
  }
  if (head_sent) co_return head.keep_alive && !request.http_1_0;
  if (core.failure()) co_return co_await refuse(request, *core.failure());
  head.headers = core.headers();
  const std::string whole = core.take_output();
  co_return co_await reply(request, std::move(head), whole);
}

}  // namespace troupe::http
