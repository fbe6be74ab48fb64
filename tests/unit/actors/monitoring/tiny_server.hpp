// A server of HTTP on a free port that keeps what is posted to it; or that takes connections and
// never answers.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace troupe::fakes {

class tiny_server {
 public:
  enum class manner { answers, hangs, refuses };

  explicit tiny_server(manner how = manner::answers) : how_(how) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at);
    ::listen(socket_, 16);
    socklen_t size = sizeof at;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~tiny_server() {
    ending_ = true;
    thread_.join();
    for (const int open : held_) ::close(open);
    ::close(socket_);
  }

  std::string url(const std::string& path = {}) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  // The bodies, once there are so many or the wait is over.
  std::vector<std::string> bodies(std::size_t wanted) {
    std::unique_lock lock{guard_};
    came_.wait_for(lock, std::chrono::seconds(20), [&] { return bodies_.size() >= wanted; });
    return bodies_;
  }
  std::string head() {
    const std::lock_guard lock{guard_};
    return head_;
  }

 private:
  void run() {
    while (!ending_) {
      pollfd watched{socket_, POLLIN, 0};
      if (::poll(&watched, 1, 20) <= 0) continue;
      const int open = ::accept(socket_, nullptr, nullptr);
      if (open < 0) continue;
      if (how_ == manner::hangs) {
        held_.push_back(open);
        continue;
      }
      serve(open);
      ::close(open);
    }
  }
  void serve(int open) {
    std::string text;
    char piece[4096];
    std::size_t body_at = std::string::npos, length = 0;
    for (;;) {
      pollfd watched{open, POLLIN, 0};
      if (::poll(&watched, 1, 2000) <= 0) return;
      const ssize_t now = ::recv(open, piece, sizeof piece, 0);
      if (now <= 0) return;
      text.append(piece, static_cast<std::size_t>(now));
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      body_at = end + 4;
      const std::size_t field = text.find("Content-Length: ");
      length = static_cast<std::size_t>(std::stoul(text.substr(field + 16)));
      if (text.size() >= body_at + length) break;
    }
    const std::string answer = how_ == manner::refuses
                                   ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
                                   : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    (void)!::send(open, answer.data(), answer.size(), MSG_NOSIGNAL);
    const std::lock_guard lock{guard_};
    head_ = text.substr(0, body_at);
    bodies_.push_back(text.substr(body_at, length));
    came_.notify_all();
  }

  manner how_;
  int socket_ = -1, port_ = 0;
  std::atomic<bool> ending_{false};
  std::vector<int> held_;
  std::mutex guard_;
  std::condition_variable came_;
  std::string head_;
  std::vector<std::string> bodies_;
  std::thread thread_;
};

}  // namespace troupe::fakes
