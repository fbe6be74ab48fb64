// Raw ZeroMQ: DEALER to ROUTER, one message one frame. The first byte says what it is: e echo, f
// flood, r read the count.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "cluster/link/bench/bench_sides.hpp"

namespace troupe::link {
namespace {

using clock = std::chrono::steady_clock;
constexpr int reply_ms_max = 30'000;

class raw_server final : public bench_server {
 public:
  raw_server() {
    router_.set(zmq::sockopt::linger, 0);
    router_.set(zmq::sockopt::rcvtimeo, 100);
    router_.bind("tcp://127.0.0.1:*");
    address_ = router_.get(zmq::sockopt::last_endpoint);
    thread_ = std::thread([this] { serve(); });
  }
  ~raw_server() override {
    stop_ = true;
    thread_.join();
  }
  std::string address() const override { return address_; }

 private:
  void serve() {
    zmq::message_t id, body;
    flood_figure counted;
    clock::time_point first;
    while (!stop_) {
      if (!router_.recv(id) || !router_.recv(body)) continue;
      const char kind = *body.data<char>();
      if (kind == 'f') {
        if (counted.messages++ == 0) first = clock::now();
        continue;
      }
      if (kind == 'r') {
        counted.seconds = std::chrono::duration<double>(clock::now() - first).count();
        body.rebuild(&counted, sizeof counted);
        counted = {};
      }
      router_.send(id, zmq::send_flags::sndmore);
      router_.send(body, zmq::send_flags::none);
    }
  }
  zmq::context_t context_{1};
  zmq::socket_t router_{context_, zmq::socket_type::router};
  std::string address_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class raw_client final : public bench_client {
 public:
  explicit raw_client(const std::string& address) {
    dealer_.set(zmq::sockopt::linger, 0);
    dealer_.set(zmq::sockopt::rcvtimeo, reply_ms_max);
    dealer_.set(zmq::sockopt::sndtimeo, reply_ms_max);
    dealer_.connect(address);
  }

  result<double> round_trip_p50_us(std::uint32_t size_bytes, unsigned rounds) override {
    std::vector<char> payload(size_bytes, 'e');
    std::vector<double> times;
    zmq::message_t reply;
    for (unsigned i = 0; i < rounds; ++i) {
      const auto start = clock::now();
      if (!dealer_.send(zmq::buffer(payload)) || !dealer_.recv(reply)) return silent();
      times.push_back(std::chrono::duration<double, std::micro>(clock::now() - start).count());
    }
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return times[rounds / 2];
  }

  result<flood_figure> flood(std::uint32_t size_bytes, std::uint64_t messages,
                             flood_kind) override {  // sending copies: always the same
    std::vector<char> payload(size_bytes, 'f');
    for (std::uint64_t i = 0; i < messages; ++i)
      if (!dealer_.send(zmq::buffer(payload))) return silent();
    zmq::message_t reply;
    if (!dealer_.send(zmq::str_buffer("r")) || !dealer_.recv(reply)) return silent();
    flood_figure figure;
    if (reply.size() != sizeof figure) return silent();
    std::memcpy(&figure, reply.data(), sizeof figure);
    return figure;
  }

 private:
  static error silent() {
    return {error_code::deadline_exceeded, "raw ZeroMQ gave no reply in 30 s", ""};
  }
  zmq::context_t context_{1};
  zmq::socket_t dealer_{context_, zmq::socket_type::dealer};
};

template <class Side, class Base, class... Args>
result<std::unique_ptr<Base>> made(Args&&... args) {
  try {
    return std::unique_ptr<Base>(std::make_unique<Side>(std::forward<Args>(args)...));
  } catch (const zmq::error_t& e) {
    return error{error_code::unavailable, std::string("raw ZeroMQ: ") + e.what(), ""};
  }
}

}  // namespace

result<std::unique_ptr<bench_server>> make_raw_server() {
  return made<raw_server, bench_server>();
}

result<std::unique_ptr<bench_client>> make_raw_client(const std::string& address) {
  return made<raw_client, bench_client>(address);
}

}  // namespace troupe::link
