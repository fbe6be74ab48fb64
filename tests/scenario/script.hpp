// Scripts: who says what to whom, what is done to the cluster, what must be seen. One sentence a
// line; README.md lists the sentences.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace troupe::scenario {

// Plays the script. Nothing: everything that it says was seen. Else what went wrong, with the
// line's number and what was seen instead; also where a sentence is not understood, or where the
// script checks nothing.
std::optional<std::string> play(const std::string& text);

// One line for each kind of sentence.
std::vector<std::string> sentences();

}  // namespace troupe::scenario
