// The HTTP door of a node: OpenAI's and Ollama's API, long jobs, health and metrics.
//
// A client of the local gateway like any other: each request that needs answers is a session named
// http/..., whose envelopes leave through the post office and come back through deliver(). Few
// threads, one coroutine for each connection. Threading: every method from any thread; stop() once.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "actors/core.hpp"
#include "cluster/audit/audit.hpp"
#include "config/outcome.hpp"

namespace troupe::http {

using std::chrono::milliseconds;

// Sessions of this process; no node and no client of the link may have such a name.
inline constexpr std::string_view session_prefix = "http/";

struct http_settings {
  std::string node;
  std::string version;
  std::string listen;  // tcp://HOST:PORT
  std::size_t threads = 1;
  std::string api_key_file, tls_certificate, tls_key;
  std::uint32_t connections_max = 1024;
  std::uint32_t requests_max = 512;
  std::uint32_t requests_per_client_max = 512;
  std::uint64_t body_bytes_max = 8u << 20;
  std::uint32_t tokens_max = 65536;
  milliseconds request_wait{15'000};
  milliseconds idle_wait{60'000};
  milliseconds write_wait{60'000};
  milliseconds head_wait{10'000};     // of a stream, for its first token
  milliseconds credit_repeat{1'000};  // of silence; then a stream's credit is said again
  milliseconds answer_wait{600'000};  // a little more than the gateway gives a job
  std::uint32_t jobs_kept = 256;
  std::uint32_t jobs_running_max = 8;
  std::filesystem::path jobs_folder;  // long jobs are written down there; empty: they are not
};

struct http_outside {
  post_office* office = nullptr;
  // A session has ended before its jobs: the gateway is to stop them.
  std::function<void(const std::string& session)> session_gone;
  audit::log* audit = nullptr;  // outlives the server
};

class server {
 public:
  // invalid_argument: an address without keys that is not loopback, keys others can read, a
  // certificate without its key; unavailable: the port is taken, or jobs_folder cannot be used.
  static result<std::unique_ptr<server>> start(http_settings settings, http_outside outside);
  virtual ~server() = default;              // as stop()
  virtual std::string address() const = 0;  // "http://127.0.0.1:8411"
  virtual void deliver(envelope_ptr message) = 0;
  // Once deliver() is called for its sessions: long jobs of before a restart go on.
  virtual void begin_jobs() = 0;
  virtual void gateway_restarted() = 0;
  // Runs a short task on a thread of the server; not at all once it has stopped.
  virtual void run_soon(std::function<void()> task) = 0;
  // From now on not ready, and connections close after their reply.
  virtual void drain() = 0;
  // Replies under way get a moment to leave, then every connection ends.
  virtual void stop() = 0;
};

}  // namespace troupe::http
