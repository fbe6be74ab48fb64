// The words that generated tokenizers are trained on: common English ones, and stems with endings,
// with counts that fall as in natural text; each with and without a leading space and with a
// capital, beside numbers, punctuation and code.
#pragma once

#include <vector>

#include "kernels/model_file/byte_pair_trainer.hpp"

namespace troupe::kernels {

// Marks and numbers, and the most common words up to `word_forms_max` forms.
std::vector<counted_word> training_words(std::size_t word_forms_max);

}  // namespace troupe::kernels
