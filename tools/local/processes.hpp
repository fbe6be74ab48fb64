// Real processes on this machine, for `troupe chaos` and the system tests: started with a pipe on
// their output, ended by their own id, every wait bounded. Nothing throws: what cannot be started
// has ended with code 127. Threading: one thread at a time for each object.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::local {

using std::chrono::milliseconds;

// A fresh folder that is removed with its content; its path is empty where none could be made.
class scratch_folder {
 public:
  scratch_folder();
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class child_process {
 public:
  // stderr goes to `errors`. Variables named TROUPE_* are not inherited.
  child_process(const std::vector<std::string>& command, const std::filesystem::path& errors,
                const std::map<std::string, std::string>& variables = {});
  ~child_process();  // kills it
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  int pid() const { return pid_; }
  // The next line of its output; nullopt when it ended or the time is over.
  std::optional<std::string> line(milliseconds wait_max);
  void signal(int number) const;
  // Its exit code (128 + signal), nullopt while it runs.
  std::optional<int> wait(milliseconds wait_max);
  bool running() { return !wait(milliseconds(0)); }

 private:
  int pid_ = -1;
  int output_ = -1;
  std::string pending_;
  std::optional<int> code_;
};

int free_port();  // on loopback; 0: none
std::string content_of(const std::filesystem::path& file);
bool write_file(const std::filesystem::path& file, const std::string& content);

// A private redis-server on a free loopback port; nothing is written to disk.
class redis_server {
 public:
  redis_server();
  bool ready() const { return ready_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  child_process& process() { return *process_; }
  std::string errors() const { return content_of(folder_.path() / "errors"); }
  bool restart();  // at the same port, empty

 private:
  void begin();
  scratch_folder folder_;
  int port_ = 0;
  bool ready_ = false;
  std::optional<child_process> process_;
};

}  // namespace troupe::local
