// A message with every field set, by reflection: each value follows from its field's number, so
// that two fields that change places are seen. In a oneof the field that is named first is set.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <set>
#include <string>

namespace troupe::proto_tests {

void fill(google::protobuf::Message& message);

// Sets one field (and, where it is a message, everything below it).
void fill_field(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field);

// The full names of all fields that are set in the message and below it.
void collect_set_fields(const google::protobuf::Message& message, std::set<std::string>& names);

// The full names of all fields that the type and the types below it have.
void collect_all_fields(const google::protobuf::Descriptor& type, std::set<std::string>& names);

}  // namespace troupe::proto_tests
