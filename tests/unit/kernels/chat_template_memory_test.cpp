// What the memory bound of a chat template says is what the process takes, also while a value is
// being made.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "kernels/chat_template/chat_template.hpp"

using namespace troupe::kernels;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t bound = 64 * mib;
constexpr std::size_t slack = 24 * mib;  // the allocator's own, and what fork() copies

std::size_t peak_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (word == "VmHWM:") {
      std::size_t kib = 0;
      file >> kib;
      return kib * 1024;
    }
  return 0;
}

bool forget_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

enum outcome { within, beyond, unknown };

// Renders in a process of its own, so that the peak is this template's.
outcome render_apart(const std::string& source) {
  const pid_t child = ::fork();
  if (child == 0) {
    chat_template_bounds bounds;
    bounds.memory_bytes = bound;
    bounds.steps = bounds.loop_turns = 1'000'000'000;
    const auto parsed = chat_template::parse(source, bounds);
    if (!parsed.ok() || !forget_peak()) ::_exit(unknown);
    const std::size_t before = peak_bytes();
    const auto text = parsed->render({});
    const bool ends_well = text.ok() || text.failure().message.find("memory") != std::string::npos;
    if (!ends_well || before == 0) ::_exit(unknown);
    ::_exit(peak_bytes() - before <= bound + slack ? within : beyond);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? static_cast<outcome>(WEXITSTATUS(status)) : unknown;
}

}  // namespace

TEST_CASE("a chat template takes no more memory than its bound, whatever it makes") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: a sanitizer takes memory of its own");
#else
  if (!forget_peak()) {
    MESSAGE("skipped: this system does not tell peaks of memory");
    return;
  }
  const std::string text = "{% set t = 'ab\n' * 5000000 %}", list = "{% set l = [1] * 800000 %}";
  for (const std::string& source :
       {text + "{{ t.split() | length }}",
        text + "{{ t.split('b') | length }}",
        text + "{{ t.rsplit('b') | length }}",
        text + "{{ t.rsplit() | length }}",
        text + "{{ t.splitlines() | length }}",
        text + "{{ t | list | length }}",
        text + "{{ t[::-1] | length }}",
        text + "{{ t | reverse | length }}",
        text + "{{ t.upper() | length }}",
        text + "{{ t | escape | length }}",
        text + "{{ t.isalpha() }}",
        text + "{{ t.rfind('x') }}",
        text + "{{ t | wordcount }}",
        text + "{{ t | indent | length }}",
        text + "{{ (t ~ 1 ~ 2) | length }}",
        text + "{{ t | unique | list | length }}",
        list + "{{ (l + l) | length }}",
        list + "{{ l[::-1] | length }}",
        list + "{{ l | reverse | list | length }}",
        list + "{{ l | sort | length }}",
        list + "{{ l | batch(3) | list | length }}",
        list + "{{ l | map('string') | list | length }}",
        list + "{{ l | tojson | length }}",
        std::string("{% set n = namespace(l=[1] * 1000) %}{% for i in range(100) %}"
                    "{% set n.l = n.l + n.l %}{% endfor %}")}) {
    CAPTURE(source);
    CHECK(render_apart(source) == within);
  }
#endif
}
