// One file on its way from other nodes, pure: which piece to ask from whom, and in which order
// pieces are written.
//
// Pieces are asked for out of order and in parallel, but written in order, so the file on disk is
// always a beginning of the model and can be gone on with after a restart. At most pieces_in_flight
// pieces are asked for, waiting or being written. Invariant: held() only grows by written(). The
// whole is believed only after its digest was checked (not here).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "actors/model_loader/loader_settings.hpp"
#include "config/outcome.hpp"

namespace troupe {

class model_fetch {
 public:
  struct piece {
    std::string holder;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
  };
  struct write {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  struct effects {
    std::vector<piece> asks;
    std::optional<write> writes;
    bool complete = false;        // every byte is on disk: check the digest
    std::optional<error> failed;  // given up; what is held stays
  };

  model_fetch(const loader_settings& settings, std::string digest, std::uint64_t size_bytes,
              std::vector<std::string> holders);

  effects opened(std::uint64_t held);
  effects received(const proto::ModelBytes& bytes);
  // The piece asked for at `offset` did not come: refused, lost or late.
  effects missed(std::uint64_t offset, const error& why);
  effects written(std::uint64_t held);

  std::uint64_t held() const { return held_; }
  std::uint64_t size_bytes() const { return size_; }

 private:
  effects go_on();

  std::uint32_t piece_bytes_, in_flight_max_, failures_max_;
  std::string digest_;
  std::uint64_t size_;
  std::vector<std::string> holders_;
  std::size_t holder_ = 0;  // whom to ask next
  std::uint64_t held_ = 0;
  std::uint64_t next_ = 0;                        // first offset never asked for
  std::map<std::uint64_t, std::uint32_t> again_;  // offset -> length, to be asked for again
  std::map<std::uint64_t, std::uint32_t> asked_;
  std::map<std::uint64_t, std::string> arrived_;  // waits for what comes before it
  bool writing_ = false;
  bool open_ = false;
  std::uint32_t failures_ = 0;
  error last_failure_;
};

}  // namespace troupe
