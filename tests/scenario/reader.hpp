// A client of a scenario: does what the script says and nothing else, keeps what it hears, and
// finds fault with any stream that is not one stream.
//
// Threading: one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/process.hpp"

namespace troupe::scenario {

using sim::time_us;

class reader {
 public:
  struct reading {
    proto::JobSpecification job;
    std::string id;
    std::string gateway;  // of the stream that is read; empty: none
    std::uint64_t correlation = 0;
    std::uint32_t window = 0;
    bool holds_back = false;  // grants nothing
    std::uint64_t granted = 0;
    time_us said_at = 0;
    std::optional<proto::JobAccepted> accepted;  // as it was told first
    bool taken = false;                          // the last submission was
    std::uint32_t next = 0;                      // index that is due on this stream
    std::vector<std::int32_t> ids;
    std::vector<proto::JobTokens> frames;
    std::string text;
    std::optional<proto::JobFinished> finished;
    std::optional<proto::Error> told;  // the last Error
  };

  reader(sim::clockwork& clock, sim::network& net, sim::dice chances, std::string name,
         const link::link_settings& link);
  ~reader();

  // What it brings to a submission.
  enum class brings { nothing, its_prefix, only_its_place };
  void submit(const std::string& job, const std::string& gateway, const std::string& address,
              brings what);
  void read_on(const std::string& job);  // no longer holds back
  void cancel(const std::string& job);
  void tick();

  std::map<std::string, reading>& jobs() { return jobs_; }
  bool connected_to(const std::string& gateway) const;
  // Its session with that gateway; empty: none.
  std::string session_with(const std::string& gateway) const;
  // What was wrong with what it heard: tokens that were not due, another prefix, another end.
  const std::vector<std::string>& faults() const { return faults_; }
  const std::string& name() const { return name_; }

 private:
  class session;
  void hear(const std::string& gateway, const proto::Envelope& message);
  void hear_tokens(reading& r, const proto::JobTokens& frame);
  void hear_end(reading& r, const proto::JobFinished& end);
  void grant(reading& r);
  void say(const std::string& gateway, proto::Envelope message);
  reading* of(const std::string& id, const std::string& gateway);

  sim::clockwork& clock_;
  sim::network& net_;
  sim::dice dice_;
  const std::string name_;
  link::link_settings link_;
  std::map<std::string, std::unique_ptr<session>> sessions_;  // by gateway
  std::map<std::string, reading> jobs_;                       // by the script's name
  std::vector<std::string> faults_;
  std::uint64_t correlation_ = 0, opened_ = 0;
};

}  // namespace troupe::scenario
