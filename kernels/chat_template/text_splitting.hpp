// Methods that take a text apart: split, rsplit, splitlines, partition, rpartition.
#pragma once

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

value split_method(rendering& run, const value& self, const call_arguments& given);
value split_from_right_method(rendering& run, const value& self, const call_arguments& given);
value split_lines_method(rendering& run, const value& self, const call_arguments& given);
value partition_method(rendering& run, const value& self, const call_arguments& given);
value partition_from_right_method(rendering& run, const value& self, const call_arguments& given);

}  // namespace troupe::kernels::chat
