#include "kernels/chat_template/filters.hpp"

namespace troupe::kernels::chat {

const filter_row* find_filter(std::string_view name) {
  for (const auto rows : {text_filters(), number_filters(), sequence_filters(), choosing_filters()})
    for (const filter_row& row : rows)
      if (row.name == name) return &row;
  return nullptr;
}

}  // namespace troupe::kernels::chat
