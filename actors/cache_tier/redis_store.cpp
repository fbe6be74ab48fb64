#include "actors/cache_tier/redis_store.hpp"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;

struct context_free {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct reply_free {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using reply_ptr = std::unique_ptr<redisReply, reply_free>;

// Room for the reply's own framing beside the value.
constexpr std::uint64_t framing_bytes_max = 4096;

class hiredis_store final : public redis_store {
 public:
  hiredis_store(std::string host, int port, std::string path, const redis_limits& limits)
      : host_(std::move(host)), port_(port), path_(std::move(path)), limits_(limits) {}

  result<std::optional<std::string>> get(std::string_view name) override {
    auto reply = call({"GET", name});
    if (!reply) return reply.failure();
    const redisReply& said = **reply;
    if (said.type == REDIS_REPLY_NIL) return std::optional<std::string>{};
    if (said.type == REDIS_REPLY_STRING) return std::optional{std::string(said.str, said.len)};
    return unexpected(said);
  }

  status set(std::string_view name, std::string_view value, std::chrono::seconds ttl) override {
    if (value.size() > limits_.value_bytes_max)
      return error{error_code::resource_exhausted,
                   "the value has " + std::to_string(value.size()) + " bytes; " +
                       std::to_string(limits_.value_bytes_max) + " are allowed",
                   {}};
    const std::string seconds = std::to_string(std::max<long long>(1, ttl.count()));
    auto reply = call({"SETEX", name, seconds, value});
    if (!reply) return reply.failure();
    if ((*reply)->type == REDIS_REPLY_STATUS) return {};
    return unexpected(**reply);
  }

  result<std::uint64_t> entries() override {
    auto reply = call({"DBSIZE"});
    if (!reply) return reply.failure();
    if ((*reply)->type == REDIS_REPLY_INTEGER && (*reply)->integer >= 0)
      return static_cast<std::uint64_t>((*reply)->integer);
    return unexpected(**reply);
  }

 private:
  std::string place() const { return path_.empty() ? host_ + ":" + std::to_string(port_) : path_; }
  error away(std::string why) const {
    return {error_code::unavailable, "Redis at " + place() + ": " + std::move(why), {}};
  }
  error late() const {
    return {error_code::deadline_exceeded,
            "Redis at " + place() + " did not answer within " +
                std::to_string(limits_.call_wait.count()) + " ms",
            {}};
  }

  static error unexpected(const redisReply& said) {
    if (said.type != REDIS_REPLY_ERROR)
      return {
          error_code::data_corrupt, "Redis gave a reply of kind " + std::to_string(said.type), {}};
    const std::string text(said.str, said.len);
    if (text.starts_with("OOM"))
      return {error_code::resource_exhausted, "Redis is full: " + text, "raise its maxmemory"};
    if (text.starts_with("WRONGTYPE")) return {error_code::data_corrupt, "Redis: " + text, {}};
    return {error_code::unavailable, "Redis refuses: " + text, {}};
  }

  result<reply_ptr> call(const std::vector<std::string_view>& words) {
    const clock::time_point until = clock::now() + limits_.call_wait;
    auto reply = exchange(words, until);
    if (!reply) context_.reset();
    return reply;
  }

  result<reply_ptr> exchange(const std::vector<std::string_view>& words, clock::time_point until) {
    if (!context_) {
      if (auto connected = connect(until); !connected) return connected.failure();
    }
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string_view word : words) {
      bytes += "$" + std::to_string(word.size()) + "\r\n";
      bytes.append(word).append("\r\n");
    }
    if (auto sent = send_all(bytes, until); !sent) return sent.failure();
    return receive(until);
  }

  status wait(short events, clock::time_point until) const {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - clock::now());
      if (left.count() <= 0) return late();
      pollfd one{context_->fd, events, 0};
      const int ready = ::poll(&one, 1, static_cast<int>((left.count() + 999) / 1000));
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) return away(std::strerror(errno));
    }
  }

  status connect(clock::time_point until) {
    context_.reset(path_.empty() ? redisConnectNonBlock(host_.c_str(), port_)
                                 : redisConnectUnixNonBlock(path_.c_str()));
    if (!context_) return away("no memory for a connection");
    if (context_->err != 0) return away(context_->errstr);
    if (auto ready = wait(POLLOUT, until); !ready) return ready;
    int failure = 0;
    socklen_t length = sizeof failure;
    if (::getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0) failure = errno;
    if (failure != 0) return away(std::strerror(failure));
    return {};
  }

  status send_all(std::string_view bytes, clock::time_point until) const {
    while (!bytes.empty()) {
      const ssize_t sent =
          ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (auto ready = wait(POLLOUT, until); !ready) return ready;
      } else if (errno != EINTR) {
        return away(std::strerror(errno));
      }
    }
    return {};
  }

  // Reads one reply. Only the kinds that our calls have reach the parser, so that no claimed count
  // makes it allocate.
  result<reply_ptr> receive(clock::time_point until) {
    std::array<char, 16384> buffer;
    std::uint64_t received = 0;
    for (;;) {
      const ssize_t got = ::recv(context_->fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got == 0) return away("closed the connection");
      if (got < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return away(std::strerror(errno));
        if (auto ready = wait(POLLIN, until); !ready) return ready.failure();
        continue;
      }
      if (received == 0 && std::strchr("$+-:", buffer[0]) == nullptr)
        return error{
            error_code::data_corrupt, "Redis at " + place() + " does not speak as Redis does", {}};
      received += static_cast<std::uint64_t>(got);
      if (received > limits_.value_bytes_max + framing_bytes_max)
        return error{error_code::resource_exhausted,
                     "Redis sends more than " + std::to_string(limits_.value_bytes_max) + " bytes",
                     {}};
      redisReaderFeed(context_->reader, buffer.data(), static_cast<std::size_t>(got));
      void* parsed = nullptr;
      if (redisReaderGetReply(context_->reader, &parsed) != REDIS_OK)
        return error{
            error_code::data_corrupt, std::string{"Redis: "} + context_->reader->errstr, {}};
      if (parsed == nullptr) continue;
      reply_ptr reply{static_cast<redisReply*>(parsed)};
      if (context_->reader->len > context_->reader->pos)
        return error{
            error_code::data_corrupt, "Redis at " + place() + " sent more than one reply", {}};
      return reply;
    }
  }

  std::string host_;
  int port_;
  std::string path_;
  redis_limits limits_;
  std::unique_ptr<redisContext, context_free> context_;
};

}  // namespace

result<std::unique_ptr<redis_store>> make_redis_store(std::string_view address,
                                                      const redis_limits& limits) {
  if (address.starts_with("unix:"))
    return std::unique_ptr<redis_store>(
        std::make_unique<hiredis_store>("", 0, std::string{address.substr(5)}, limits));
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (colon != std::string_view::npos) {
    const std::string_view digits = address.substr(colon + 1);
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (wrong != std::errc{} || end != digits.data() + digits.size()) port = 0;
  }
  if (colon == std::string_view::npos || colon == 0 || port < 1 || port > 65535)
    return error{error_code::invalid_argument,
                 "\"" + std::string{address} + "\" is not an address of a Redis",
                 "write HOST:PORT or unix:/path"};
  return std::unique_ptr<redis_store>(
      std::make_unique<hiredis_store>(std::string{address.substr(0, colon)}, port, "", limits));
}

}  // namespace troupe
