// troupe_sim: runs seeds and says which of them broke a promise.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/sim/checker.hpp"
#include "tests/sim/simulation.hpp"

using namespace troupe::sim;

namespace {

struct totals {
  std::uint64_t seeds = 0, broken = 0, invalid = 0, answers = 0, failures = 0, faults = 0;
  std::uint64_t actions = 0, frames = 0, virtual_us = 0;
};

// False: the seed broke a promise.
bool run_seed(std::uint64_t seed, std::size_t nodes, bool trace, bool twice, totals& sum) {
  const run_plan plan = make_plan(seed, nodes);
  std::function<void(const event&)> print;
  if (trace) print = [](const event& e) { std::printf("%s\n", described(e).c_str()); };
  const run_result ran = run(plan, {}, print);
  const verdict found = check(ran.history);
  ++sum.seeds;
  sum.invalid += !found.invalid.empty();
  sum.answers += found.answers;
  sum.failures += found.failures;
  sum.faults += found.faults;
  sum.actions += ran.actions;
  sum.frames += ran.frames;
  sum.virtual_us += ran.lasted;
  if (trace)
    std::printf("seed %llu: digest %016llx%s%s\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(ran.digest),
                found.invalid.empty() ? "" : ", invalid: ", found.invalid.c_str());
  bool good = found.violations.empty();
  for (const violation& v : found.violations)
    std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(seed), v.property.c_str(),
                v.about.c_str());
  if (twice && run(plan).digest != ran.digest) {
    std::printf("seed %llu: the second run was another one\n",
                static_cast<unsigned long long>(seed));
    good = false;
  }
  sum.broken += !good;
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Simulates clusters in virtual time, one for each seed, and checks what they promise."};
  std::string seeds = "1..100";
  std::size_t nodes = 0;
  bool trace = false, twice = false, go_on = false;
  app.add_option("--seeds", seeds, "A..B, or one seed")->capture_default_str();
  app.add_option("--nodes", nodes, "how many nodes; 0: the seed decides")->check(CLI::Range(0, 64));
  app.add_flag("--trace", trace, "print every recorded event");
  app.add_flag("--twice", twice, "run each seed twice and compare the digests");
  app.add_flag("--go-on", go_on, "do not stop at the first seed that fails");
  CLI11_PARSE(app, argc, argv);
  std::uint64_t first = 0, last = 0;
  try {
    const auto dots = seeds.find("..");
    first = std::stoull(seeds.substr(0, dots));
    last = dots == std::string::npos ? first : std::stoull(seeds.substr(dots + 2));
  } catch (const std::exception&) {
    std::fprintf(stderr, "troupe_sim: --seeds is \"%s\"; write A..B\n", seeds.c_str());
    return 64;
  }
  totals sum;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed <= last; ++seed)
    if (!run_seed(seed, nodes, trace, twice, sum)) {
      std::printf("replay: troupe_sim --seeds %llu%s --trace\n",
                  static_cast<unsigned long long>(seed),
                  nodes > 0 ? (" --nodes " + std::to_string(nodes)).c_str() : "");
      if (!go_on) break;
    }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%llu seeds, %llu failed, %llu invalid; %llu answers, %llu failed jobs, %llu faults, "
      "%llu frames, %.0f simulated s; %.1f seeds/s\n",
      static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.broken),
      static_cast<unsigned long long>(sum.invalid), static_cast<unsigned long long>(sum.answers),
      static_cast<unsigned long long>(sum.failures), static_cast<unsigned long long>(sum.faults),
      static_cast<unsigned long long>(sum.frames), static_cast<double>(sum.virtual_us) / 1e6,
      static_cast<double>(sum.seeds) / seconds);
  return sum.broken == 0 ? 0 : 1;
}
