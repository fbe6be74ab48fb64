// Long jobs (/v1/jobs): submitted, read, followed, cancelled.
#include "actors/monitoring/span_ids.hpp"
#include "cluster/client/uuid.hpp"
#include "cluster/http/connection_leases.hpp"
#include "cluster/http/trace_parent.hpp"

namespace troupe::http {
namespace {

using std::chrono::steady_clock;

}  // namespace

asio::awaitable<bool> connection::job_route(const http_request& request, const route& to) {
  const auto id = client::uuid_bytes(to.name);
  if (!id) co_return co_await refuse(request, wrong_request(400, "a job's id is a UUID"));
  const api_error unknown = wrong_request(404, "no job " + to.name + " here");
  if (!desk_.may_touch(*id, caller_)) co_return co_await refuse(request, unknown);
  if (to.kind == route_kind::job_stream) co_return co_await stream_job(request, *id);
  if (to.kind == route_kind::job_cancel) desk_.cancel_job(*id);
  if (auto state = desk_.job_state(*id)) co_return co_await document(request, *std::move(state));
  co_return co_await refuse(request, unknown);
}

asio::awaitable<bool> connection::submit_job(const http_request& request) {
  auto read = read_job_wish(request.body, desk_.limits());
  if (auto* why = std::get_if<api_error>(&read)) co_return co_await refuse(request, *why);
  job_wish& wish = std::get<job_wish>(read);
  if (wish.id.empty()) wish.id = client::make_uuid();
  if (!caller_.key.empty() || wish.job.tenant().empty()) wish.job.set_tenant(caller_.client);
  wish.owner = caller_.key;
  wish.trace = read_trace_parent(request.trace_parent).value_or(proto::TraceContext());
  auto box = std::make_shared<inbox>(co_await asio::this_coro::executor);
  desk_.watch_jobs(box);
  const auto outcome = desk_.submit_job(wish);
  if (auto* why = std::get_if<api_error>(&outcome)) co_return co_await refuse(request, *why);
  const auto late = steady_clock::now() + desk_.settings().request_wait;
  while (desk_.is_being_written(wish.id)) {  // what is told is on disk
    if (steady_clock::now() >= late) co_return co_await refuse(request, desk_.why_not_written());
    co_await box->wait(late);
  }
  auto state = desk_.job_state(wish.id);
  if (!state) co_return co_await refuse(request, desk_.why_not_written());
  const bool is_new = std::get<job_book::submitted>(outcome).is_new;
  reply_head head{.status = is_new ? 202 : 200, .content_type = "application/json"};
  head.headers = {{"traceparent", trace_parent_of(context_of_job(wish.trace, wish.id))}};
  co_return co_await reply(request, std::move(head), *state);
}

asio::awaitable<bool> connection::stream_job(const http_request& request, const std::string& id) {
  auto from = query_number(request.query, "from", 0);
  if (!request.last_event_id.empty()) from = query_number("id=" + request.last_event_id, "id", 0);
  if (!from)
    co_return co_await refuse(
        request, wrong_request(400, "from, or Last-Event-ID, is a token's index in digits"));
  if (!desk_.job_state(id))
    co_return co_await refuse(request, wrong_request(404, "no such job here"));
  if (auto why = desk_.admit(caller_.client)) co_return co_await refuse(request, *why);
  admission_lease admitted(desk_, caller_.client);
  const milliseconds wait = desk_.settings().write_wait;
  auto strand = co_await asio::this_coro::executor;
  auto box = std::make_shared<inbox>(strand);
  desk_.watch_jobs(box);
  client_watch watch(strand, shared_from_this(), *wire_, box);
  reply_head head{.content_type = "text/event-stream; charset=utf-8"};
  head.keep_alive = stays(request);
  head.http_1_0 = request.http_1_0;
  head.headers = {{"troupe-gateway", desk_.settings().node}};
  if (!co_await wire_->write(text_of(head), wait)) co_return false;
  const auto late = steady_clock::now() + desk_.settings().answer_wait;
  for (std::uint32_t next = *from;;) {
    const auto piece = desk_.read_job(id, next);
    if (!piece || box->given_up() || steady_clock::now() >= late) co_return false;
    next = piece->next_index;
    std::string bytes = request.http_1_0 ? piece->events : chunk_of(piece->events);
    if (piece->last && !request.http_1_0) bytes += last_chunk;
    if (!co_await wire_->write(bytes, wait)) co_return false;
    if (piece->last) co_return head.keep_alive && !request.http_1_0;
    if (piece->events.empty()) co_await box->wait(late);
  }
}

}  // namespace troupe::http
