// The real console on a real terminal (a pty) beside real nodes; and --once for scripts.
#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

#include <fstream>
#include <map>
#include <sstream>

#include "nodes.hpp"
#include "tools/console/drawn.hpp"

using namespace system_test;

namespace {

// `troupe console` on a terminal of its own; keeps what its screen shows.
class console_process {
 public:
  console_process(const std::string& at, unsigned short columns, unsigned short lines) {
    winsize size{lines, columns, 0, 0};
    REQUIRE(::openpty(&terminal_, &other_side_, nullptr, nullptr, &size) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    ::close(terminal_);
    ::login_tty(::dup(other_side_));
    ::setenv("TERM", "xterm", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
    ::unsetenv("NO_COLOR");
    ::execl(TROUPE, TROUPE, "console", "--at", at.c_str(), nullptr);
    ::_exit(127);
  }
  ~console_process() {
    if (!code_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(terminal_);
    ::close(other_side_);
  }

  void press(const std::string& bytes) {
    REQUIRE(::write(terminal_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  void resize(unsigned short columns, unsigned short lines) {
    winsize size{lines, columns, 0, 0};
    REQUIRE(::ioctl(terminal_, TIOCSWINSZ, &size) == 0);  // the kernel sends SIGWINCH
  }

  // Reads what came; true where some line of the screen has the text.
  bool shows(const std::string& text) {
    read();
    for (const auto& [number, line] : lines_)
      if (without_attributes(line).find(text) != std::string::npos) return true;
    return false;
  }
  bool shows_in_time(const std::string& text) {
    return eventually([&] { return shows(text); }, milliseconds(60'000));
  }
  // The line as it was sent, with its attributes.
  std::string line_with(const std::string& text) {
    read();
    for (const auto& [number, line] : lines_)
      if (without_attributes(line).find(text) != std::string::npos) return line;
    return {};
  }
  std::string screen() {
    std::string out;
    for (const auto& [number, line] : lines_) out += without_attributes(line) + "\n";
    return out;
  }
  std::size_t last_line() { return lines_.empty() ? 0 : lines_.rbegin()->first; }
  const std::string& all_bytes() const { return all_; }

  std::optional<int> exit_code(milliseconds wait_max = milliseconds(20'000)) {
    eventually(
        [&] {
          read();
          int told = 0;
          if (!code_ && ::waitpid(pid_, &told, WNOHANG) == pid_)
            code_ = WIFEXITED(told) ? WEXITSTATUS(told) : 128 + WTERMSIG(told);
          return code_.has_value();
        },
        wait_max);
    return code_;
  }
  termios attributes() const {
    termios out{};
    ::tcgetattr(other_side_, &out);
    return out;
  }
  double cpu_seconds() const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/stat");
    std::ostringstream all;
    all << in.rdbuf();
    std::istringstream fields(all.str().substr(all.str().rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  static std::string without_attributes(const std::string& line) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] != '\x1b') {
        out += line[i];
        continue;
      }
      while (i < line.size() && !std::isalpha(static_cast<unsigned char>(line[i]))) ++i;
    }
    return out;
  }

  void read() {
    char bytes[4096];
    for (;;) {
      pollfd ready{terminal_, POLLIN, 0};
      if (::poll(&ready, 1, 0) <= 0 || !(ready.revents & POLLIN)) break;
      const ssize_t got = ::read(terminal_, bytes, sizeof bytes);
      if (got <= 0) break;
      all_.append(bytes, static_cast<std::size_t>(got));
      pending_.append(bytes, static_cast<std::size_t>(got));
    }
    // The console writes whole lines: ESC [ ROW ; 1 H, then the line.
    for (;;) {
      const std::size_t clear = pending_.find("\x1b[2J"), begin = pending_.find("\x1b[");
      if (begin == std::string::npos) break;
      if (clear == begin) {
        lines_.clear();
        pending_.erase(0, begin + 4);
        continue;
      }
      const std::size_t letter = pending_.find_first_of("ABCDHJKhlm", begin + 2);
      if (letter == std::string::npos) break;
      if (pending_[letter] != 'H') {
        pending_.erase(0, letter + 1);
        continue;
      }
      const int row = std::atoi(pending_.c_str() + begin + 2);
      std::size_t end = pending_.find(";1H", letter + 1);
      if (end == std::string::npos) {
        // The last line that came may be half: it is taken, and taken again with what follows.
        lines_[static_cast<std::size_t>(row)] = pending_.substr(letter + 1);
        break;
      }
      end = pending_.rfind("\x1b[", end);
      std::string line = pending_.substr(letter + 1, end - letter - 1);
      if (const std::size_t cleared = line.find("\x1b[2J"); cleared != std::string::npos) {
        end = letter + 1 + cleared;
        line.resize(cleared);
      }
      lines_[static_cast<std::size_t>(row)] = line;
      pending_.erase(0, end);
    }
  }

  int terminal_ = -1, other_side_ = -1;
  pid_t pid_ = -1;
  std::optional<int> code_;
  std::string all_, pending_;
  std::map<std::size_t, std::string> lines_;
};

struct ended {
  int code = -1;
  std::string text;
};

ended once(const std::string& at) {
  scratch_folder folder;
  child_process process({TROUPE, "console", "--once", "--at", at}, folder.path() / "errors");
  ended out;
  while (const auto line = process.line(milliseconds(30'000))) out.text += *line + "\n";
  out.code = process.wait(milliseconds(30'000)).value_or(-1);
  out.text += content_of(folder.path() / "errors");
  return out;
}

}  // namespace

TEST_CASE("console: --once tells of every node, and exits by what it found") {
  node first({.name = "first"});
  REQUIRE_MESSAGE(first.ready(), first.errors());
  node second({.name = "second", .peers = {first.address()}});
  REQUIRE_MESSAGE(second.ready(), second.errors());
  auto at_first = first.connect();
  REQUIRE(nodes_up(*at_first, 2));
  REQUIRE(!ask(*at_first, job_of("Once upon a time")).failure);
  ended told;
  CHECK(eventually([&] { return (told = once(first.at())).text.find("2/2 nodes up") == 0; }));
  CAPTURE(told.text);
  CHECK(told.code == 0);
  for (const char* part : {"told by first", "\nNodes\n", "first ", "second ", "\nLinks\n",
                           "\nModels\n", "tiny", "\nActors\n", "gateway", "\nCaches\n", "\nLog\n"})
    CHECK_MESSAGE(told.text.find(part) != std::string::npos, part);
  CHECK(told.text.find('\x1b') == std::string::npos);

  const ended nobody = once("127.0.0.1:" + std::to_string(free_port()));
  CHECK(nobody.code == 4);
  CHECK(nobody.text.find("troupe: ") == 0);
}

TEST_CASE("console: on a terminal, through jobs, keys, resizes and dying nodes, to a clean end") {
  if (const auto can = troupe::console::can_draw(); !can) {
    MESSAGE("skipped: ", can.failure().text());
    return;
  }
  node first({.name = "first"});
  REQUIRE_MESSAGE(first.ready(), first.errors());
  node second({.name = "second", .peers = {first.address()}});
  REQUIRE_MESSAGE(second.ready(), second.errors());
  auto at_first = first.connect();
  REQUIRE(nodes_up(*at_first, 2));

  console_process console(first.at(), 100, 30);
  const termios before = console.attributes();
  REQUIRE_MESSAGE(console.shows_in_time("2/2 nodes up"), console.screen());
  CHECK(console.shows_in_time("No request waits."));
  CHECK((console.attributes().c_lflag & ECHO) == 0);

  troupe::client::job job = job_of("A long story", 1500);
  job.cache_bypass = true;
  auto running = at_first->submit(job);
  REQUIRE_MESSAGE(running, running.failure().text());
  REQUIRE((*running)->next(milliseconds(30'000)));
  console.press("3");
  CHECK_MESSAGE(console.shows_in_time("running"), console.screen());
  console.press("\r");
  CHECK_MESSAGE(console.shows_in_time("first_token"), console.screen());
  console.press("c");
  CHECK_MESSAGE(console.shows_in_time("Cancel job"), console.screen());
  console.press("y");
  CHECK_MESSAGE(console.shows_in_time("was cancelled"), console.screen());
  CHECK(read_all(**running).report.reason == troupe::client::finish_reason::cancelled);
  console.press("\x1b");
  CHECK(console.shows_in_time("No job runs or waits now."));

  console.press("?");
  CHECK(console.shows_in_time("What the keys do"));
  console.press("q1");
  CHECK(console.shows_in_time("[1 Nodes]"));

  const double cpu = console.cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  ::usleep(6'000'000);
  CHECK(console.shows("2/2 nodes up"));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  MESSAGE("console at 2 Hz, 100x30, 2 nodes: ", 100 * (console.cpu_seconds() - cpu) / seconds,
          " % of a core");

  second.kill();
  CHECK_MESSAGE(console.shows_in_time("second is DOWN"), console.screen());
  CHECK_MESSAGE(console.shows_in_time("1/2 nodes up"), console.screen());
  CHECK(console.line_with("second is DOWN").find("\x1b[31m") != std::string::npos);

  console.resize(120, 40);
  CHECK_MESSAGE(eventually([&] { return console.shows("8 Log  ") && console.last_line() == 40; }),
                console.screen());
  console.resize(60, 15);
  CHECK_MESSAGE(eventually([&] { return console.shows("DOWN") && console.last_line() == 15; }),
                console.screen());

  first.kill();
  CHECK_MESSAGE(console.shows_in_time("No answer for"), console.screen());
  CHECK(console.shows("first"));  // as it was
  console.press("q");
  const auto code = console.exit_code();
  REQUIRE(code);
  CHECK(*code == 0);
  CHECK(console.all_bytes().find("\x1b[?1049l") != std::string::npos);
  CHECK(console.attributes().c_lflag == before.c_lflag);
}

TEST_CASE("console: a signal ends it as q does, and it tells where there is no terminal") {
  if (const auto can = troupe::console::can_draw(); !can) {
    MESSAGE("skipped: ", can.failure().text());
    return;
  }
  console_process console("127.0.0.1:" + std::to_string(free_port()), 80, 24);
  CHECK_MESSAGE(console.shows_in_time("No answer from"), console.screen());
  console.press("\x03");
  CHECK(console.exit_code() == 0);
  CHECK((console.attributes().c_lflag & ECHO) != 0);

  scratch_folder folder;
  child_process process({TROUPE, "console"}, folder.path() / "errors");
  CHECK(process.wait(milliseconds(20'000)) == 3);
  CHECK(content_of(folder.path() / "errors").find("--once") != std::string::npos);
}
