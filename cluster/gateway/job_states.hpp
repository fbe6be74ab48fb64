// A job's phases at its gateway, and what each event leads to in each of them.
//
// The table is what the core obeys: enter() asserts that a change of phase is in it, and a test
// (job_states_test.cpp) drives the real core through every cell.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace troupe::cluster {

// What a job waits for: the digest of the model that it names; PromptPrepared; AnswerFound or
// AnswerMissing; ModelLoaded; a node that can compute (and that does not rest); tokens; nothing.
enum class job_phase : std::uint8_t {
  waiting_for_model,
  preparing,
  looking_up,
  loading,
  waiting_for_node,
  running,
  finished
};
inline constexpr std::size_t job_phases = 7;

enum class job_event : std::uint8_t {
  submission,         // the job's own content again, of its client
  fuller_submission,  // of a client that holds more tokens than the gateway
  other_content,      // another content under the job's id
  grant,
  strangers_grant,  // of another session than the job's client
  cancellation,
  prompt_prepared,  // replies: as asked for, where something is asked for
  answer_missing,
  answer_found,
  model_loaded,
  error_reply,
  late_reply,  // to a question that is not open
  tokens,      // of the attempt under way, where there is one
  whole_answer,
  attempt_error,
  old_frame,    // of an attempt before
  view,         // a node that can compute is there
  worker_lost,  // the node that the job's question or attempt is at
  client_lost,  // without a detach grace
  deadline,     // the job's; of a finished one, until when it is kept
  stop          // and do not wait for those that run
};
inline constexpr std::size_t job_events = 21;

enum class job_outcome : std::uint8_t {
  moves,       // to one of `next`
  stays,       // taken; the phase is the same
  refused,     // answered by an Error; the job is as before
  fenced,      // dropped, counted as fenced
  unexpected,  // dropped, counted as unexpected
  nothing      // news that means nothing to this phase
};

struct job_cell {
  job_outcome outcome = job_outcome::nothing;
  std::uint8_t next = 0;  // bits: phases, and gone
};

namespace job_table_words {

constexpr std::uint8_t bit(job_phase phase) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(phase));
}
inline constexpr std::uint8_t gone = 1u << job_phases;  // the gateway knows it no more
inline constexpr std::uint8_t P = bit(job_phase::preparing), L = bit(job_phase::looking_up),
                              M = bit(job_phase::loading), W = bit(job_phase::waiting_for_node),
                              R = bit(job_phase::running), F = bit(job_phase::finished);
constexpr job_cell to(unsigned next) {
  return {job_outcome::moves, static_cast<std::uint8_t>(next)};
}
inline constexpr job_cell stays{job_outcome::stays}, refused{job_outcome::refused},
    fenced{job_outcome::fenced}, odd{job_outcome::unexpected}, nothing{};

}  // namespace job_table_words

// Rows as job_event, columns as job_phase.
constexpr std::array<std::array<job_cell, job_phases>, job_events> make_job_table() {
  using namespace job_table_words;
  constexpr job_cell again = to(L | M | W | R), failed = to(L | M | W | R | F);
  // waiting_for_model, preparing, looking_up, loading, waiting_for_node, running, finished
  return {{
      {stays, stays, stays, stays, stays, stays, stays},                     // submission
      {stays, stays, stays, stays, stays, again, refused},                   // fuller_submission
      {refused, refused, refused, refused, refused, refused, refused},       // other_content
      {stays, stays, stays, stays, stays, stays, stays},                     // grant
      {odd, odd, odd, odd, odd, odd, odd},                                   // strangers_grant
      {to(gone), to(gone), to(F), to(F), to(F), to(F), stays},               // cancellation
      {odd, to(L | M | W | R | gone), to(M | R), failed, odd, odd, odd},     // prompt_prepared
      {odd, to(P | gone), to(M | R), failed, odd, odd, odd},                 // answer_missing
      {odd, to(P | gone), to(M | R | F), failed, odd, odd, odd},             // answer_found
      {odd, to(P | gone), to(M | R), to(L | R), odd, odd, odd},              // model_loaded
      {odd, to(P | gone), to(M | R), failed, odd, failed, odd},              // error_reply
      {odd, odd, odd, odd, odd, odd, odd},                                   // late_reply
      {fenced, fenced, fenced, fenced, fenced, stays, fenced},               // tokens
      {fenced, fenced, fenced, fenced, fenced, to(F), fenced},               // whole_answer
      {fenced, fenced, fenced, fenced, fenced, failed, fenced},              // attempt_error
      {fenced, fenced, fenced, fenced, fenced, fenced, fenced},              // old_frame
      {to(P | gone), nothing, nothing, nothing, again, nothing, nothing},    // view
      {nothing, to(P | gone), to(M | R), failed, nothing, failed, nothing},  // worker_lost
      {to(gone), to(gone), to(gone), to(gone), to(gone), to(gone), stays},   // client_lost
      {to(gone), to(gone), to(F), to(F), to(F), to(F), to(gone)},            // deadline
      {to(gone), to(gone), to(F), to(F), to(F), to(F), nothing},             // stop
  }};
}
inline constexpr auto job_table = make_job_table();

constexpr job_cell cell_of(job_event event, job_phase phase) {
  return job_table[static_cast<std::size_t>(event)][static_cast<std::size_t>(phase)];
}

// Does any event lead from one to the other?
constexpr bool may_follow(job_phase from, job_phase to) {
  for (const auto& row : job_table)
    if (row[static_cast<std::size_t>(from)].next & job_table_words::bit(to)) return true;
  return false;
}
static_assert(!may_follow(job_phase::finished, job_phase::running));
static_assert(!may_follow(job_phase::running, job_phase::preparing));
static_assert(!may_follow(job_phase::waiting_for_model, job_phase::running));

// `job` has a phase.
template <class Job>
void enter(Job& job, job_phase to) {
  assert(may_follow(job.phase, to) && "a change of phase that the table does not have");
  job.phase = to;
}

}  // namespace troupe::cluster
