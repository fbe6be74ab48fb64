#include "tools/console/console.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <mutex>

#include "tools/console/cluster_reader.hpp"
#include "tools/console/console_state.hpp"
#include "tools/console/drawn.hpp"
#include "tools/console/key_bytes.hpp"
#include "tools/console/snapshot.hpp"
#include "tools/console/terminal.hpp"
#include "tools/console/terminal_kind.hpp"

namespace troupe::console {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds draw_every{500}, escape_wait{40}, end_wait{3000}, once_wait{5000},
    text_every{5000};
constexpr std::size_t waiting_max = 256;

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::string variable(const char* name) {
  const char* found = std::getenv(name);
  return found ? found : "";
}

// What the reader's threads heard, until the screen's thread takes it.
class inbox {
 public:
  void put(heard_type what) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == waiting_max) waiting_.erase(waiting_.begin());
    waiting_.push_back({now_us(), std::move(what)});
  }
  std::vector<event> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<event> waiting_;
};

// False: it is to end.
bool take(console_state& state, cluster_reader& reader, const event& what) {
  bool goes_on = true;
  for (const effect& one : step(state, what)) {
    if (std::holds_alternative<quit>(one))
      goes_on = false;
    else
      reader.ask(one);
  }
  return goes_on;
}

void loop(terminal& screen, console_state& state, cluster_reader& reader, inbox& heard,
          colours how) {
  std::string bytes;
  auto draw_at = steady_clock::now();
  for (bool goes_on = true; goes_on;) {
    const auto left = std::chrono::duration_cast<milliseconds>(draw_at - steady_clock::now());
    const auto told =
        screen.wait(std::clamp(bytes.empty() ? left : escape_wait, milliseconds(0), draw_every));
    if (told.ended) return;
    bool at_once = told.resized;
    if (told.resized) {
      const auto size = screen.measured();
      take(state, reader, {now_us(), resized{size.width, size.height}});
    }
    const bool waited = told.bytes.empty() && !bytes.empty();
    bytes += told.bytes;
    for (const key_press& pressed : keys_of(bytes, waited)) {
      at_once = true;
      goes_on = take(state, reader, {now_us(), pressed}) && goes_on;
    }
    if (!goes_on) return;
    if (!at_once && steady_clock::now() < draw_at) continue;
    for (const event& one : heard.take()) take(state, reader, one);
    take(state, reader, {now_us(), ticked{}});
    screen.show(drawn(state, how));
    draw_at = steady_clock::now() + draw_every;
  }
}

// For a terminal that can only print: the picture again and again, until it is interrupted.
status print_on(const console_request& request) {
  std::cerr << "troupe: this terminal (TERM=" << variable("TERM")
            << ") cannot be drawn on: text every 5 s, Ctrl-C ends\n";
  while (std::cout) {
    const auto text = look_once(request);
    if (text)
      std::cout << *text << "\n" << std::flush;
    else
      std::cerr << "troupe: " << text.failure().text() << "; looking again\n";
    ::usleep(static_cast<useconds_t>(text_every.count() * 1000));
  }
  return {};
}

}  // namespace

result<std::string> look_once(const console_request& request) {
  client::connect_options options = request.connection;
  options.wait_max = once_wait;
  auto observer = client::observer::open(request.at, options);
  if (!observer) return observer.failure();
  auto picture = (*observer)->picture(once_wait);
  if (!picture) return picture.failure();
  console_state state;
  state.at = request.at;
  state.unicode = false;
  step(state,
       {now_us(), picture_heard{std::make_shared<proto::ClusterPicture>(std::move(*picture))}});
  proto::ReadLog asked;
  asked.set_level(proto::LEVEL_INFO);
  asked.set_lines_max(20);
  if (auto log = (*observer)->log(asked, once_wait))
    step(state, {now_us(), log_heard{{log->lines().begin(), log->lines().end()}}});
  return snapshot(state);
}

status run_console(const console_request& request) {
  const terminal_kind kind = kind_of(variable);
  if (!terminal::is_one())
    return error{error_code::invalid_argument, "stdin or stdout is no terminal",
                 "--once prints the same as text"};
  if (!kind.drawable) return print_on(request);
  if (const status can = can_draw(); !can) return can;
  terminal screen;
  if (const status begun = screen.begin(); !begun) return begun;
  console_state state;
  state.at = request.at;
  state.unicode = kind.unicode;
  const auto size = screen.measured();
  step(state, {now_us(), resized{size.width, size.height}});
  inbox heard;
  auto reader = std::make_unique<cluster_reader>(
      request.at, request.connection, [&](heard_type what) { heard.put(std::move(what)); });
  loop(screen, state, *reader, heard, kind.how);
  const bool ended = reader->end(milliseconds(0));
  screen.end();
  if (ended || reader->end(end_wait)) return {};
  // A drain that is under way goes on at its node; nobody waits for it here.
  std::cout.flush();
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace troupe::console
