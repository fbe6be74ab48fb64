#include "tools/local/processes.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;

namespace troupe::local {

using std::chrono::steady_clock;

namespace {
constexpr int not_started = 127;
}

scratch_folder::scratch_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "troupe-XXXXXX").string();
  if (::mkdtemp(name.data())) path_ = name;
}

scratch_folder::~scratch_folder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

child_process::child_process(const std::vector<std::string>& command,
                             const std::filesystem::path& errors,
                             const std::map<std::string, std::string>& variables) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    code_ = not_started;
    return;
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
  std::vector<std::string> kept;
  for (char** at = environ; *at; ++at) {
    const std::string entry = *at;
    const std::string name = entry.substr(0, entry.find('='));
    if (!variables.contains(name) && !name.starts_with("TROUPE_")) kept.push_back(entry);
  }
  for (const auto& [name, value] : variables) kept.push_back(name + "=" + value);
  std::vector<char*> environment, arguments;
  for (std::string& entry : kept) environment.push_back(entry.data());
  environment.push_back(nullptr);
  std::vector<std::string> words = command;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int failed = ::posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(),
                                    environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  output_ = ends[0];
  if (failed == 0) return;
  code_ = not_started;
  pid_ = -1;
}

child_process::~child_process() {
  if (!code_ && !wait(milliseconds(0))) {
    ::kill(pid_, SIGKILL);
    wait(milliseconds(10'000));
  }
  if (output_ >= 0) ::close(output_);
}

std::optional<std::string> child_process::line(milliseconds wait_max) {
  const auto until = steady_clock::now() + wait_max;
  for (;;) {
    if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string out = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return out;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    pollfd watched{output_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0)
      return std::nullopt;
    char bytes[4096];
    const ssize_t size = ::read(output_, bytes, sizeof bytes);
    if (size <= 0) return std::nullopt;
    pending_.append(bytes, static_cast<std::size_t>(size));
  }
}

void child_process::signal(int number) const {
  if (pid_ > 0 && !code_) ::kill(pid_, number);
}

std::optional<int> child_process::wait(milliseconds wait_max) {
  const auto until = steady_clock::now() + wait_max;
  while (!code_) {
    int state = 0;
    if (::waitpid(pid_, &state, WNOHANG) == pid_)
      code_ = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    else if (steady_clock::now() >= until)
      break;
    else
      std::this_thread::sleep_for(milliseconds(5));
  }
  return code_;
}

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(probe);
  return bound ? ntohs(address.sin_port) : 0;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool write_file(const std::filesystem::path& file, const std::string& content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << content;
  return static_cast<bool>(out.flush());
}

redis_server::redis_server() {
  port_ = free_port();
  begin();
}

bool redis_server::restart() {
  process_.reset();
  begin();
  return ready_;
}

void redis_server::begin() {
  ready_ = false;
  process_.emplace(std::vector<std::string>{"redis-server", "--port", std::to_string(port_),
                                            "--bind", "127.0.0.1", "--save", "", "--appendonly",
                                            "no", "--dir", folder_.path().string()},
                   folder_.path() / "errors");
  while (auto line = process_->line(milliseconds(10'000)))
    if ((ready_ = line->find("Ready to accept connections") != std::string::npos)) return;
}

}  // namespace troupe::local
