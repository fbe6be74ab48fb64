// The four parts that link_bench puts together: each measures or serves one side of a pair.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

struct flood_figure {
  std::uint64_t messages = 0;
  double seconds = 0;  // first to last, at the receiver
};

// Echoes and counts until destroyed; both listen on a free port of 127.0.0.1.
class bench_server {
 public:
  virtual ~bench_server() = default;
  virtual std::string address() const = 0;
};
result<std::unique_ptr<bench_server>> make_raw_server();
// keys: of both sides, for encrypted links; empty pairs: none.
struct bench_keys {
  keys::key_pair server, client;
};
result<std::unique_ptr<bench_server>> make_actor_server(const bench_keys& keys);

// fresh: a message is made for each time it is sent; prepared: one is made and sent over and over.
enum class flood_kind { fresh, prepared };

class bench_client {
 public:
  virtual ~bench_client() = default;
  virtual result<double> round_trip_p50_us(std::uint32_t size_bytes, unsigned rounds) = 0;
  virtual result<flood_figure> flood(std::uint32_t size_bytes, std::uint64_t messages,
                                     flood_kind kind) = 0;
};
result<std::unique_ptr<bench_client>> make_raw_client(const std::string& address);
result<std::unique_ptr<bench_client>> make_actor_client(const std::string& address,
                                                        const bench_keys& keys);

}  // namespace troupe::link
