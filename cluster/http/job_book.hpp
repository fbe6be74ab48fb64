// Long jobs: submitted once under the client's own id, computed whether or not anyone reads, read
// from any index by anyone who knows the id.
//
// A book is a client of the gateway that lives as long as the node: it takes whole answers (credit
// for all of tokens_max) and keeps them. At most running_max are with the gateway; urgent ones go
// before normal ones before those of the background. At most kept_max are known: ended ones leave,
// oldest first; where none has ended, a new one is refused. Ids are for ever one job: the same id
// with the same content is the same job, with another it is refused.
//
// The gateway's journal outlives a restart: it then tells each job again, from its acceptance on,
// and the book takes it up. What such a job's body was is not known here; its id alone counts. Jobs
// that still waited for their turn are not in the journal. Threading: none; pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/http/asked_work.hpp"
#include "proto/envelope.pb.h"

namespace troupe::http {

inline constexpr std::string_view job_session_prefix = "http/job-";

struct job_wish {
  std::string id;  // 16 bytes; empty: the client gave none
  proto::SubmitJob job;
  bool is_chat = false;
};
// A body of a chat or a completion, with "id" and "priority" beside.
std::variant<job_wish, api_error> read_job_wish(std::string_view body,
                                                const request_limits& limits);

struct job_book_settings {
  std::string node;
  std::uint32_t kept_max = 256;
  std::uint32_t running_max = 8;
};

class job_book {
 public:
  explicit job_book(job_book_settings settings) : settings_(std::move(settings)) {}

  // What is to be posted now. Messages wait here until they are taken.
  std::vector<proto::Envelope> take_messages();
  // Sessions that the gateway is to forget.
  std::vector<std::string> take_ended_sessions();

  struct submitted {
    bool is_new = false;
  };
  std::variant<submitted, api_error> submit(const job_wish& wish, std::int64_t now_s);
  // What came for one of its sessions.
  void take(const proto::Envelope& message);
  // The gateway began anew, perhaps with its journal: what it had is submitted again, with the
  // tokens that are here.
  void gateway_restarted();
  bool cancel(const std::string& id);

  // The state as a JSON document; nullopt: no such job.
  std::optional<std::string> state(const std::string& id) const;
  struct piece {
    std::string events;            // server-sent events; the id of each is the next index
    std::uint32_t next_index = 0;  // where the following piece begins
    bool last = false;
  };
  // What there is from token `from` on, at most frames_max frames.
  static constexpr std::size_t frames_max = 16;
  std::optional<piece> read(const std::string& id, std::uint32_t from) const;
  std::size_t size() const { return jobs_.size(); }

 private:
  enum class phase { waiting, submitted, running, ended };
  struct record {
    proto::SubmitJob job;
    std::string content;            // what the id stands for; empty: told by a journal
    std::uint64_t submissions = 0;  // also the correlation of the last one
    phase now = phase::waiting;
    std::uint64_t order = 0;
    std::int64_t created_s = 0;
    std::optional<proto::JobAccepted> accepted;
    std::vector<proto::JobTokens> frames;
    std::uint32_t tokens = 0;
    std::uint32_t attempt = 0;
    std::optional<proto::JobFinished> finished;
    std::optional<api_error> failure;
    bool cancelled = false;
  };
  bool make_room();
  void take_up(const std::string& id, const proto::JobAccepted& accepted);
  void submit_to_gateway(const std::string& id, record& job);
  void start_waiting();
  void end(const std::string& id, record& job);
  void post_to_gateway(const std::string& id, proto::Envelope message);
  static const char* state_name(const record& job);

  job_book_settings settings_;
  std::map<std::string, record> jobs_;  // by the id's 16 bytes
  std::vector<proto::Envelope> messages_;
  std::vector<std::string> ended_sessions_;
  std::uint64_t next_order_ = 0;
  std::size_t running_ = 0;
};

}  // namespace troupe::http
