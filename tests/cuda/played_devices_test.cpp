// Several GPUs, and GPUs that are lost: which one computes, and what becomes of the process.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/played_nvml.hpp"
#include "tests/cuda/played_runtime.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

struct machine {
  explicit machine(std::vector<played_nvml_gpu> gpus) {
    the_played_device().count = static_cast<int>(gpus.size());
    the_played_nvml() = {.count = static_cast<unsigned>(gpus.size())};
    for (std::size_t i = 0; i < gpus.size(); ++i) the_played_nvml().gpus[i] = gpus[i];
  }
  ~machine() {
    the_played_device().count = 1;
    the_played_device().broken = -1;
    the_played_nvml() = {};
  }
};

void compute_a_step(engine& on) {
  const std::vector<token_id> tokens = tokens_of(3, 1);
  const std::vector<block_id> blocks{0};
  const sequence_step step{.tokens = tokens, .blocks = blocks};
  const auto computed = on.step({&step, 1});
  CHECK(computed.ok());
}

// The device that an engine got and computed on; -1: none.
int device_for(cuda_settings settings) {
  const random_model weights{recipe{}};
  settings.memory = small_device.memory;
  const auto made = make_cuda_engine(weights.get(), {}, settings);
  if (!made.ok()) return -1;
  compute_a_step(**made);
  return the_played_device().current;
}

struct ending {
  int signal = 0;
  std::string said;
};
// What becomes of a process that does this.
ending end_of(const std::function<void()>& act) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], 2);
    act();
    ::_exit(0);
  }
  ::close(ends[1]);
  ending out;
  char text[256];
  for (ssize_t got = 0; (got = ::read(ends[0], text, sizeof text)) > 0;)
    out.said.append(text, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  out.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return out;
}

}  // namespace

TEST_CASE("played GPUs: without a wish an engine goes where most memory is free, else as wished") {
  const machine here({{.bytes = 1000, .bytes_used = 900},
                      {.bytes = 1000, .bytes_used = 100},
                      {.bytes = 1000, .bytes_used = 500}});
  CHECK(device_for({}) == 1);
  CHECK(device_for({.device = 2}) == 2);
  the_played_nvml().gpus[2].bytes_used = 10;
  the_played_nvml().gpus[1].bytes_used = 800;
  CHECK(device_for({}) == 2);
}

TEST_CASE(
    "played GPUs: one that is lost or broken is passed over, and refused where it is wished") {
  const machine here({{.code = 15}, {.bytes = 1000}, {.bytes = 500}});
  CHECK(device_for({}) == 1);
  CHECK(device_for({.device = 0}) == -1);
  the_played_device().broken = 1;
  CHECK(device_for({}) == 2);
  CHECK(device_for({.device = 1}) == -1);
}

TEST_CASE("played GPU: a step past its deadline ends the process and says so") {
  const ending how = end_of([] {
    const random_model weights{recipe{}};
    cuda_settings settings = small_device;
    settings.step_deadline = std::chrono::milliseconds{100};
    auto made = make_cuda_engine(weights.get(), {}, settings);
    if (!made) return;
    the_played_device().hangs = true;
    compute_a_step(**made);
  });
  CHECK(how.signal == SIGABRT);
  CHECK(how.said.find("cuda_device_lost") != std::string::npos);
  CHECK(how.said.find("a step has not ended in") != std::string::npos);
}

TEST_CASE("played GPU: a step on a GPU that is gone ends the process without any deadline") {
  const machine here(std::vector<played_nvml_gpu>{{.bytes = 1000}});
  const ending how = end_of([] {
    const random_model weights{recipe{}};
    auto made = make_cuda_engine(weights.get(), {}, small_device);
    if (!made) return;
    compute_a_step(**made);
    the_played_nvml().gpus[0].code = 15;
    the_played_device().hangs = true;
    compute_a_step(**made);
  });
  CHECK(how.signal == SIGABRT);
  CHECK(how.said.find("the GPU is gone") != std::string::npos);
}

TEST_CASE("played GPU: a step that ends is no loss") {
  const ending how = end_of([] {
    const random_model weights{recipe{}};
    cuda_settings settings = small_device;
    settings.step_deadline = std::chrono::hours{1};
    auto made = make_cuda_engine(weights.get(), {}, settings);
    if (made) compute_a_step(**made);
  });
  CHECK(how.signal == 0);
  CHECK(how.said.empty());
}
