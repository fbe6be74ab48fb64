// One client's connection, from its first byte to its last: requests in, replies out, one at a
// time.
//
// A request that is computed holds a session, a place among the admitted and at most
// request_core::credit_tokens of each answer; all are given back however it ends. When the client
// closes, the session ends at once and its jobs with it. Threading: the connection's strand.
#pragma once

#include <memory>
#include <string>

#include "cluster/http/front_desk.hpp"
#include "cluster/http/http_reply.hpp"
#include "cluster/http/request_core.hpp"
#include "cluster/http/wire.hpp"

namespace troupe::http {

class inbox;

inline constexpr milliseconds status_wait{3'000};

class connection : public std::enable_shared_from_this<connection> {
 public:
  // desk outlives the connection.
  connection(std::unique_ptr<wire> over, front_desk& desk, std::string address)
      : wire_(std::move(over)), desk_(desk), address_(std::move(address)) {}

  asio::awaitable<void> run();

 private:
  asio::awaitable<std::optional<http_request>> read_request();
  asio::awaitable<bool> serve(const http_request& request);
  asio::awaitable<bool> serve_route(const http_request& request, const route& to);
  asio::awaitable<bool> answer(const http_request& request, work_or_error asked);
  asio::awaitable<bool> stream_job(const http_request& request, const std::string& id);
  asio::awaitable<bool> submit_job(const http_request& request);
  asio::awaitable<bool> job_route(const http_request& request, const route& to);
  asio::awaitable<bool> drain_node(const http_request& request, const route& to);
  asio::awaitable<bool> cluster_route(const http_request& request, const route& to);
  // The reply, or null where none came in time; ask() also where it is an Error.
  asio::awaitable<envelope_ptr> ask_for(const char* actor, proto::Envelope question,
                                        milliseconds wait = status_wait);
  asio::awaitable<envelope_ptr> ask(const char* actor, proto::Envelope question);
  // connection_observing.cpp: what monitoring tells, as JSON.
  asio::awaitable<bool> observe(const http_request& request, const route& to);
  asio::awaitable<bool> tell_profile(const http_request& request);
  asio::awaitable<bool> cancel_any_job(const http_request& request, const route& to);
  asio::awaitable<bool> stream_picture(const http_request& request);
  asio::awaitable<std::shared_ptr<const proto::ClusterStatus>> read_cluster();
  asio::awaitable<bool> show_console(const http_request& request);
  asio::awaitable<bool> tell_metrics(const http_request& request);
  // Serves the jobs of an admitted request; tells how the connection goes on.
  asio::awaitable<bool> converse(const http_request& request, request_core& core,
                                 const std::shared_ptr<inbox>& box);
  // A whole reply; these build it at once, so that nothing of the caller's need live on.
  asio::awaitable<bool> document(const http_request& request, const std::string& body,
                                 int status = 200, const char* content_type = "application/json");
  asio::awaitable<bool> reply(const http_request& request, reply_head head,
                              const std::string& body);
  asio::awaitable<bool> refuse(const http_request& request, const api_error& why);
  asio::awaitable<bool> send(std::string bytes, bool keep);
  bool stays(const http_request& request) const;

  std::unique_ptr<wire> wire_;
  front_desk& desk_;
  std::string address_;
  caller caller_;        // who asks, of the request at hand
  std::string pending_;  // bytes that were read and belong to the next request
};

}  // namespace troupe::http
