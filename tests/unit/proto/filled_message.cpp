#include "filled_message.hpp"

#include <vector>

namespace troupe::proto_tests {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void fill_single(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const int number = field.number();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, &field, -number);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &field, -1000 - number);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &field, 200 + static_cast<std::uint32_t>(number));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &field,
                                  (1ull << 40) + static_cast<std::uint64_t>(number));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &field, 0.5 + number);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, &field, 0.25F + static_cast<float>(number));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, true);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&message, &field, field.enum_type()->value(1)->number());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, &field, std::string(field.name()));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return fill(*reflection.MutableMessage(&message, &field));
  }
}

void add_single(Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(&message, &field, field.number() * 1000 + index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.AddUInt32(&message, &field,
                                  static_cast<std::uint32_t>(field.number() * 1000 + index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.AddUInt64(&message, &field,
                                  static_cast<std::uint64_t>(field.number() * 1000 + index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.AddFloat(&message, &field,
                                 -0.5F * static_cast<float>(field.number() + index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.AddDouble(&message, &field, -0.5 * (field.number() + index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.AddEnumValue(&message, &field, field.enum_type()->value(1)->number());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.AddString(&message, &field,
                                  std::string(field.name()) + std::to_string(index));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return fill(*reflection.AddMessage(&message, &field));
    default:
      break;  // no message has such a list; the coverage test would show one
  }
}

}  // namespace

void fill_field(Message& message, const FieldDescriptor& field) {
  if (!field.is_repeated()) return fill_single(message, field);
  for (int index = 0; index < 2; ++index) add_single(message, field, index);
}

void fill(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const auto* choice = field.real_containing_oneof();
    if (choice == nullptr || choice->field(0) == &field) fill_field(message, field);
  }
}

void collect_set_fields(const Message& message, std::set<std::string>& names) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    names.insert(field->full_name());
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) collect_set_fields(reflection.GetMessage(message, field), names);
    for (int i = 0; field->is_repeated() && i < reflection.FieldSize(message, field); ++i)
      collect_set_fields(reflection.GetRepeatedMessage(message, field, i), names);
  }
}

void collect_all_fields(const Descriptor& type, std::set<std::string>& names) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool fresh = names.insert(field.full_name()).second;
    if (fresh && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      collect_all_fields(*field.message_type(), names);
  }
}

}  // namespace troupe::proto_tests
