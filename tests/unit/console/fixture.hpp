// A cluster for the console's tests: pc1 is well, pc2 is slow (its CPU is busy, fourteen jobs wait
// there), pc3 is gone. Every time is counted from `noon`.
#pragma once

#include <string>
#include <vector>

#include "tools/console/console_state.hpp"

namespace console_test {

inline constexpr std::uint64_t second = 1'000'000;
inline constexpr std::uint64_t noon = 1'767'268'800ull * second;

std::string job_id(unsigned number);
troupe::console::picture_ptr cluster();
troupe::console::history_ptr history();
std::vector<troupe::proto::LogLine> log();
troupe::proto::JobStory story();

// All of it heard, at noon.
troupe::console::console_state watching(unsigned width, unsigned height);
std::vector<troupe::console::effect> send(troupe::console::console_state& state,
                                          decltype(troupe::console::event::what) what);
troupe::console::key_press letter(const std::string& text);
void type(troupe::console::console_state& state, const std::string& letters);

// What a terminal shows after these lines, without attributes and blanks at the ends.
std::string plain(const std::vector<std::string>& lines);

}  // namespace console_test
