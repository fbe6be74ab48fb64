#include "cluster/link/bench/link_bench.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "cluster/link/bench/bench_sides.hpp"
#include "cluster/link/curve.hpp"

namespace troupe::link {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The other process: serves both kinds until its standard input, a pipe from here, is closed.
[[noreturn]] void serve(int addresses_out, int stop_in, const bench_keys& keys) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  {
    auto raw = make_raw_server();
    auto actors = make_actor_server(keys);
    if (!raw.ok() || !actors.ok()) ::_exit(1);
    const std::string both = (*raw)->address() + "\n" + (*actors)->address() + "\n";
    if (::write(addresses_out, both.data(), both.size()) < 0) ::_exit(1);
    ::close(addresses_out);
    char byte;
    while (::read(stop_in, &byte, 1) < 0 && errno == EINTR) {
    }
  }
  ::_exit(0);
}

class other_process {
 public:
  ~other_process() {
    if (stop_ >= 0) ::close(stop_);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }
  status start(const bench_keys& keys) {
    int addresses[2], stop[2];
    if (::pipe(addresses) != 0 || ::pipe(stop) != 0)
      return error{error_code::resource_exhausted, "no pipe for the bench", ""};
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(addresses[0]);
      ::close(stop[1]);
      serve(addresses[1], stop[0], keys);
    }
    ::close(addresses[1]);
    ::close(stop[0]);
    stop_ = stop[1];
    if (pid_ < 0) return error{error_code::resource_exhausted, "no process for the bench", ""};
    std::string text;
    char piece[256];
    for (ssize_t got; (got = ::read(addresses[0], piece, sizeof piece)) > 0;)
      text.append(piece, static_cast<std::size_t>(got));
    ::close(addresses[0]);
    const auto line = text.find('\n');
    if (line == std::string::npos)
      return error{error_code::unavailable, "the bench's second process did not start", ""};
    raw = text.substr(0, line);
    actors = text.substr(line + 1, text.size() - line - 2);
    return {};
  }

  std::string raw, actors;

 private:
  pid_t pid_ = -1;
  int stop_ = -1;
};

struct side_figures {
  double round_trip_us = 0;
  double messages_per_second = 0;
  double fresh_messages_per_second = 0;
};

result<double> flood_rate(bench_client& client, std::uint32_t size, std::uint64_t messages,
                          flood_kind kind) {
  const auto flood = client.flood(size, messages, kind);
  if (!flood.ok()) return flood.failure();
  if (flood->messages != messages)
    return error{error_code::internal,
                 "sent " + std::to_string(messages) + " messages, " +
                     std::to_string(flood->messages) + " arrived",
                 ""};
  return static_cast<double>(messages) / std::max(flood->seconds, 1e-9);
}

result<side_figures> measure(bench_client& client, bool ours, std::uint32_t size,
                             const link_bench_settings& settings) {
  side_figures out;
  const auto trips = client.round_trip_p50_us(size, std::max(1u, settings.round_trips));
  if (!trips.ok()) return trips.failure();
  out.round_trip_us = *trips;
  const std::uint64_t messages = std::clamp<std::uint64_t>(
      settings.flood_bytes / size, 1, std::max<std::uint64_t>(1, settings.flood_messages_max));
  const auto rate = flood_rate(client, size, messages, flood_kind::prepared);
  if (!rate.ok()) return rate.failure();
  out.messages_per_second = out.fresh_messages_per_second = *rate;
  if (!ours) return out;
  const auto fresh = flood_rate(client, size, messages, flood_kind::fresh);
  if (!fresh.ok()) return fresh.failure();
  out.fresh_messages_per_second = *fresh;
  return out;
}

template <class Pick>
double median_of(const std::vector<std::pair<side_figures, side_figures>>& pairs, Pick pick) {
  std::vector<double> values;
  for (const auto& [raw, ours] : pairs) values.push_back(pick(raw, ours));
  return median(std::move(values));
}

link_bench_row row_of(std::uint32_t size,
                      const std::vector<std::pair<side_figures, side_figures>>& pairs) {
  const auto over = [&](auto pick) { return median_of(pairs, pick); };
  link_bench_row row;
  row.size_bytes = size;
  row.raw_round_trip_us = over([](auto& r, auto&) { return r.round_trip_us; });
  row.round_trip_us = over([](auto&, auto& o) { return o.round_trip_us; });
  row.round_trip_ratio = over([](auto& r, auto& o) { return o.round_trip_us / r.round_trip_us; });
  row.raw_messages_per_second = over([](auto& r, auto&) { return r.messages_per_second; });
  row.messages_per_second = over([](auto&, auto& o) { return o.messages_per_second; });
  row.throughput_ratio =
      over([](auto& r, auto& o) { return o.messages_per_second / r.messages_per_second; });
  row.fresh_messages_per_second = over([](auto&, auto& o) { return o.fresh_messages_per_second; });
  row.fresh_throughput_ratio =
      over([](auto& r, auto& o) { return o.fresh_messages_per_second / r.messages_per_second; });
  return row;
}

result<link_bench_row> measure_size(bench_client& raw, bench_client& ours, std::uint32_t size,
                                    const link_bench_settings& settings) {
  std::vector<std::pair<side_figures, side_figures>> pairs;
  for (unsigned pair = 0; pair < std::max(1u, settings.pairs); ++pair) {
    const bool raw_first = pair % 2 == 0;
    const auto one = measure(raw_first ? raw : ours, !raw_first, size, settings);
    if (!one.ok()) return one.failure();
    const auto two = measure(raw_first ? ours : raw, raw_first, size, settings);
    if (!two.ok()) return two.failure();
    pairs.emplace_back(raw_first ? *one : *two, raw_first ? *two : *one);
  }
  return row_of(size, pairs);
}

}  // namespace

result<link_bench_report> run_link_bench(const link_bench_settings& settings) {
  bench_keys keys;
  if (settings.encrypted) {
    const auto server = make_key_pair(), client = make_key_pair();
    if (!server.ok()) return server.failure();
    if (!client.ok()) return client.failure();
    keys = {*server, *client};
  }
  other_process other;
  if (const status started = other.start(keys); !started.ok()) return started.failure();
  auto raw = make_raw_client(other.raw);
  if (!raw.ok()) return raw.failure();
  auto ours = make_actor_client(other.actors, keys);
  if (!ours.ok()) return ours.failure();
  link_bench_report report;
  for (const std::uint32_t size : settings.sizes_bytes) {
    if (size == 0 || size > (64u << 20))
      return error{error_code::invalid_argument, "a size of " + std::to_string(size) + " bytes",
                   "use 1 to 67108864"};
    auto row = measure_size(**raw, **ours, size, settings);
    if (!row.ok()) return row.failure();
    report.rows.push_back(*row);
  }
  return report;
}

}  // namespace troupe::link
