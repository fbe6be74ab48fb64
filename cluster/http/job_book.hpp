// Long jobs: submitted once under the client's own id, computed whether or not anyone reads, read
// from any index by anyone who knows the id.
//
// A book is a client of the gateway that lives as long as the node: it takes whole answers (credit
// for all of tokens_max) and keeps them. At most running_max are with the gateway; urgent ones go
// before normal ones before those of the background. At most kept_max are known: ended ones leave,
// oldest first; where none has ended, a new one is refused. Ids are for ever one job: the same id
// with the same content is the same job, with another it is refused.
//
// With a journal a job is written down, with its owner, before its submitter is told and before
// the gateway gets it. After a restart recover() brings those back that had not ended: they wait
// again, and the gateway attaches to what it still computes or computes it anew. Of those that had
// ended only id and owner are kept, until the gateway tells them again. A job that the gateway
// tells and that is not written down has no owner. Threading: none; pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/http/asked_work.hpp"
#include "cluster/journal/batch.hpp"
#include "proto/envelope.pb.h"

namespace troupe::http {

inline constexpr std::string_view job_session_prefix = "http/job-";

struct job_wish {
  std::string id;  // 16 bytes; empty: the client gave none
  proto::SubmitJob job;
  std::string owner;  // the name of the API key; empty: none was asked for
  bool is_chat = false;
  proto::TraceContext trace;  // whose part it is; empty: it begins one
};
// A body of a chat or a completion, with "id" and "priority" beside.
std::variant<job_wish, api_error> read_job_wish(std::string_view body,
                                                const request_limits& limits);

struct job_book_settings {
  std::string node;
  std::uint32_t kept_max = 256;
  std::uint32_t running_max = 8;
  bool journal = false;
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
  // Whether its submitter has to wait: it is not on disk yet.
  bool is_being_written(const std::string& id) const;
  // What came for one of its sessions.
  void take(const proto::Envelope& message);
  // The gateway began anew, perhaps with its journal: what it had is submitted again, with the
  // tokens that are here.
  void gateway_restarted();
  bool cancel(const std::string& id);
  // The node stops: no job is begun any more, and what the gateway refuses now waits for the next
  // start.
  void stop() { stopping_ = true; }

  // The journal. Before anything else: what it holds; begin() once the gateway can be spoken to.
  void recover(std::span<const proto::JournalRecord> records);
  void begin();
  journal::batch take_batch();  // to be written now, in this order
  void durable(std::uint64_t position);
  // What had not been written is refused, as are new jobs until a new file can be written.
  void journal_failed(const error& why);
  const std::optional<api_error>& journal_failure() const { return journal_failure_; }
  void rewrite_journal();

  // Whose it is; nullopt: no such job.
  std::optional<std::string> owner(const std::string& id) const;
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
  // untold: it had ended before a restart, and the gateway has not told it again.
  enum class phase { writing, waiting, submitted, running, ended, untold };
  struct record {
    proto::SubmitJob job;
    std::string owner;
    proto::TraceContext trace;
    std::string content;            // what the id stands for; empty: told by a journal
    std::uint64_t submissions = 0;  // also the correlation of the last one
    std::uint32_t asked_from = 0;   // the first token that it asked for
    std::uint64_t position = 0;     // of its record in the journal
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
  const record* find(const std::string& id) const;
  bool make_room();
  void take_accepted(const std::string& id, record& job, const proto::JobAccepted& accepted);
  void take_up(const std::string& id, const proto::JobAccepted& accepted);
  void submit_to_gateway(const std::string& id, record& job);
  void start_waiting();
  void end(const std::string& id, record& job);
  void post_to_gateway(const std::string& id, proto::Envelope message);
  static const char* state_name(const record& job);
  std::uint64_t write_down(proto::JournalRecord record);
  void write_held(const std::string& id, record& job);
  void write_end(const std::string& id, const record& job);
  void write_forgotten(const std::string& id);
  std::optional<api_error> begin_fresh_if_failed(std::int64_t now_s);

  job_book_settings settings_;
  std::map<std::string, record> jobs_;  // by the id's 16 bytes
  std::vector<proto::Envelope> messages_;
  std::vector<std::string> ended_sessions_;
  std::uint64_t next_order_ = 0;
  std::size_t running_ = 0;
  bool held_back_ = false;  // between recover() and begin()
  bool stopping_ = false;

  journal::batch batch_;
  std::uint64_t position_ = 0;
  std::uint64_t fresh_position_ = 0;  // once it is durable the journal is whole
  std::optional<api_error> journal_failure_;
  std::int64_t tried_at_s_ = 0;  // to begin a new file
};

}  // namespace troupe::http
