#include "tools/console/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace troupe::console {
namespace {

// Alternate screen, cursor hidden, no wrapping at the right edge; and all of it undone.
constexpr char enter_screen[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr char leave_screen[] = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr int send_wait_ms = 2000;  // a terminal that takes nothing for so long is gone

termios before{};
// Written by signal handlers.
volatile sig_atomic_t size_changed = 0, end_asked = 0;
int signal_pipe = -1;

void on_signal(int number) {
  const int kept = errno;
  if (number == SIGWINCH)
    size_changed = 1;
  else
    end_asked = 1;
  const char byte = 's';
  if (signal_pipe >= 0 && ::write(signal_pipe, &byte, 1) < 0) { /* full: it is awake already */
  }
  errno = kept;
}

constexpr int signals[] = {SIGWINCH, SIGTERM, SIGINT, SIGHUP};
struct sigaction old_actions[std::size(signals)];

}  // namespace

bool terminal::is_one() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

terminal::terminal() {
  if (::pipe2(signal_pipe_, O_NONBLOCK | O_CLOEXEC) != 0) signal_pipe_[0] = signal_pipe_[1] = -1;
}

terminal::~terminal() {
  end();
  for (const int end : signal_pipe_)
    if (end >= 0) ::close(end);
}

status terminal::begin() {
  if (signal_pipe_[0] < 0)
    return error{error_code::resource_exhausted, std::string("no pipe: ") + std::strerror(errno),
                 "raise the limit of open files (ulimit -n)"};
  if (::tcgetattr(STDIN_FILENO, &before) != 0)
    return error{error_code::unsupported,
                 std::string("stdin is no terminal: ") + std::strerror(errno),
                 "use --once where there is none"};
  termios raw = before;
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN | ISIG);
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL | INLCR | ISTRIP);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
    return error{error_code::unsupported,
                 std::string("this terminal cannot be read key by key: ") + std::strerror(errno),
                 "use --once"};
  begun_ = true;
  signal_pipe = signal_pipe_[1];
  size_changed = 0;
  end_asked = 0;
  for (std::size_t i = 0; i < std::size(signals); ++i) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signals[i], &action, &old_actions[i]);
  }
  send(enter_screen);
  return {};
}

void terminal::end() {
  if (!begun_) return;
  begun_ = false;
  if (!gone_) send(leave_screen);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
  for (std::size_t i = 0; i < std::size(signals); ++i)
    ::sigaction(signals[i], &old_actions[i], nullptr);
  signal_pipe = -1;
}

terminal::size terminal::measured() const {
  winsize told{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &told) != 0 || told.ws_col == 0 || told.ws_row == 0)
    return {};
  return {told.ws_col, told.ws_row};
}

terminal::heard terminal::wait(std::chrono::milliseconds at_most) {
  heard out;
  pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signal_pipe_[0], POLLIN, 0}};
  const int found = ::poll(ready, 2, static_cast<int>(at_most.count()));
  char bytes[1024];
  if (found > 0 && ready[0].revents) {
    const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (got > 0)
      out.bytes.assign(bytes, static_cast<std::size_t>(got));
    else if (got == 0 || (errno != EINTR && errno != EAGAIN))
      out.ended = gone_ = true;  // hung up
  }
  while (::read(signal_pipe_[0], bytes, sizeof bytes) > 0) {
  }
  if (size_changed) {
    size_changed = 0;
    shown_.clear();
    out.resized = true;
  }
  if (end_asked) out.ended = true;
  return out;
}

void terminal::show(const std::vector<std::string>& lines) {
  send(shown_.size() == lines.size() ? changes(shown_, lines) : "\x1b[2J" + changes({}, lines));
  shown_ = lines;
}

void terminal::send(const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size() && !gone_;) {
    pollfd ready{STDOUT_FILENO, POLLOUT, 0};
    const int found = ::poll(&ready, 1, send_wait_ms);
    if (found < 0 && errno == EINTR) continue;
    const ssize_t put = found > 0 ? ::write(STDOUT_FILENO, bytes.data() + at,
                                            std::min<std::size_t>(bytes.size() - at, 4096))
                                  : -1;
    if (put > 0) {
      at += static_cast<std::size_t>(put);
      bytes_sent_ += static_cast<std::uint64_t>(put);
    } else if (found == 0 || (errno != EINTR && errno != EAGAIN)) {
      gone_ = true;
    }
  }
}

std::string changes(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::string out;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (i < before.size() && before[i] == after[i]) continue;
    out += "\x1b[" + std::to_string(i + 1) + ";1H\x1b[0m" + after[i] + "\x1b[0m";
    if (after[i].empty()) out += "\x1b[2K";
  }
  return out;
}

}  // namespace troupe::console
