// A private redis-server on a unix socket, for tests. Ends with its owner.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace troupe::fakes {

class redis_server {
 public:
  static bool present() { return std::system("command -v redis-server > /dev/null 2>&1") == 0; }

  explicit redis_server(std::vector<std::string> more = {}) : more_(std::move(more)) {
    static int number = 0;
    root_ = std::filesystem::temp_directory_path() /
            ("troupe-redis-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
    std::filesystem::create_directories(root_);
    start();
  }
  ~redis_server() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  std::string socket() const { return (root_ / "s").string(); }
  std::string address() const { return "unix:" + socket(); }
  void pause() const { ::kill(process_, SIGSTOP); }
  void go_on() const { ::kill(process_, SIGCONT); }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  void start() {
    process_ = ::fork();
    if (process_ == 0) {
      std::vector<std::string> words{
          "redis-server", "--port", "0",     "--unixsocket", socket(),    "--save",   "",
          "--appendonly", "no",     "--dir", root_.string(), "--logfile", "/dev/null"};
      words.insert(words.end(), more_.begin(), more_.end());
      std::vector<char*> pointers;
      for (std::string& word : words) pointers.push_back(word.data());
      pointers.push_back(nullptr);
      ::execvp("redis-server", pointers.data());
      ::_exit(127);
    }
    for (int i = 0; i < 600 && !answers(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  // One command, as typed; the raw reply, or "" where none came.
  std::string command(const std::string& line) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket().copy(at.sun_path, sizeof at.sun_path - 1);
    std::string reply;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) {
      const std::string bytes = line + "\r\n";
      if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
        char buffer[65536];
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got > 0) reply.assign(buffer, static_cast<std::size_t>(got));
      }
    }
    ::close(fd);
    return reply;
  }

 private:
  bool answers() const { return command("PING") == "+PONG\r\n"; }
  std::vector<std::string> more_;
  std::filesystem::path root_;
  pid_t process_ = -1;
};

}  // namespace troupe::fakes
